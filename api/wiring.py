"""Builds the services that the routes call, on the real Redis and S3 or on what a test passes in."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from api.events.slots import Slots
from api.jobs.disk_budget import COPIES, DiskBudget
from api.jobs.job_service import JobService
from api.jobs.status_service import StatusService
from api.jobs.submission_service import SubmissionService
from api.jobs.upload_service import UploadService
from shared.api_keys import Keyring
from shared.clock import Clock, SystemClock
from shared.errors import DreamError, UnfitService
from shared.jobs.job_events import JobQueries, JobSubscriptions

if TYPE_CHECKING:
    from api.access.unauthenticated_limit import UnauthenticatedLimit
    from shared.interfaces import JobStore, Notifier, ObjectStorage
    from shared.settings import Settings

log = structlog.get_logger(__name__)


@dataclass(frozen=True, kw_only=True)
class Services:
    """Everything that the routes call."""

    settings: "Settings"
    jobs: JobService
    submissions: SubmissionService
    uploads: UploadService
    status: StatusService
    job_queries: JobQueries
    subscriptions: JobSubscriptions
    keyring: Keyring
    unauthenticated: "UnauthenticatedLimit"
    disk: DiskBudget
    clock: Clock = field(default_factory=SystemClock)
    rate_limit_storage: tuple[str, dict[str, Any]] = ("memory://", {})  # where Flask-Limiter counts: address, options

    def __post_init__(self) -> None:
        per_owner = self.settings.max_owner_streams if self.settings.keys == "on" else None
        object.__setattr__(self, "slots", Slots(max(1, self.settings.max_streams), per_owner=per_owner))

    slots: Slots = field(init=False, repr=False)  # for responses that hold a thread for a long time


def connect(settings: "Settings") -> Services:
    """Builds the services on the real Redis and S3 and checks both.

    Raises UnfitService when one of them can never serve; one that is only unavailable is logged and may come back.
    """
    services = wire(settings)
    for service in (services.jobs.store, services.jobs.storage):
        try:
            service.check()
        except UnfitService:
            raise
        except DreamError as exc:
            log.warning("dependency_unavailable", reason=str(exc), cause=str(exc.__cause__ or ""))
    return services


def wire(settings: "Settings") -> Services:
    """Builds the services on the real Redis and S3 without calling either."""
    from shared.celery_app import CeleryNotifier  # noqa: PLC0415
    from shared.redis.connection import rate_limit_storage  # noqa: PLC0415
    from shared.redis.job_queries import RedisJobQueries  # noqa: PLC0415
    from shared.redis.job_store import RedisJobStore  # noqa: PLC0415
    from shared.redis.subscriptions import RedisSubscriptions  # noqa: PLC0415
    from shared.s3.object_storage import S3ObjectStorage  # noqa: PLC0415 - boto3, redis and celery cost half of the import budget

    store = RedisJobStore.connect(settings)
    return assemble(
        settings,
        store=store,
        storage=S3ObjectStorage.connect(settings),
        notifier=CeleryNotifier.connect(settings),
        job_queries=RedisJobQueries(store.redis),
        subscriptions=RedisSubscriptions.connect(settings),
        clock=SystemClock(),
        rate_limit_storage=rate_limit_storage(settings),
    )


def assemble(
    settings: "Settings",
    *,
    store: "JobStore",
    storage: "ObjectStorage",
    notifier: "Notifier",
    job_queries: "JobQueries",
    subscriptions: "JobSubscriptions",
    clock: Clock,
    rate_limit_storage: tuple[str, dict[str, Any]] = ("memory://", {}),
) -> Services:
    """Builds the services on the given implementations of the interfaces."""
    from api.access.unauthenticated_limit import UnauthenticatedLimit  # noqa: PLC0415 - `limits` brings asyncio, 0.1 s

    disk = DiskBudget(
        settings.upload_budget_bytes, longest_upload=settings.max_upload_bytes, strips=settings.strip_inputs
    )
    return Services(
        settings=settings,
        disk=disk,
        jobs=JobService(store=store, storage=storage, notifier=notifier, job_queries=job_queries, clock=clock),
        submissions=SubmissionService(
            store=store,
            storage=storage,
            notifier=notifier,
            clock=clock,
            max_pixels=settings.max_pixels,
            max_work=settings.max_work,
            formats=settings.formats,
            strip_inputs=settings.strip_inputs,
            max_bytes=settings.max_upload_bytes,
            disk=disk,
            max_queued=settings.max_queued,
            webhook_networks=settings.webhook_networks,
            public_url=settings.public_url,
        ),
        uploads=UploadService(storage=storage, clock=clock, max_bytes=_longest_direct(settings)),
        status=StatusService(
            store=store,
            max_pixels=settings.max_pixels,
            max_bytes=settings.max_upload_bytes,
            max_direct_bytes=_longest_direct(settings),
        ),
        job_queries=job_queries,
        subscriptions=subscriptions,
        keyring=Keyring(storage, clock),
        unauthenticated=UnauthenticatedLimit(clock, per_minute=settings.unauthenticated_per_minute),
        clock=clock,
        rate_limit_storage=rate_limit_storage,
    )


def _longest_direct(settings: "Settings") -> int:
    """Returns the largest upload by parts; an image whose metadata is removed passes through the temporary disk."""
    limit = settings.max_direct_upload_bytes
    return min(limit, settings.upload_budget_bytes // 2 // COPIES) if settings.strip_inputs else limit
