"""The WSGI application: `gunicorn "api.app:create_app()"`."""

import logging
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from apiflask import APIFlask
from flask.json.provider import DefaultJSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from api import auth, headers, limits, openapi, problems, telemetry
from api.context import EXTENSION, Services
from api.intake import Intake
from api.routes import (
    docs,
    events,
    health,
    jobs,
    keys,
    models,
    outputs,
    pages,
    presets,
    session,
    status,
    uploads,
    webhooks,
)
from api.service import JobService
from api.strangers import Strangers
from shared import catalog
from shared.clock import Clock, SystemClock
from shared.errors import DreamError, UnfitService
from shared.keys import Keyring

if TYPE_CHECKING:
    from shared.follow import Changes, Feed
    from shared.ports import Blobs, Doorbell, Store
    from shared.settings import Settings

logger = logging.getLogger(__name__)

VERSION = "0.1.0"
FORM_FIELD_BYTES = 1 << 20  # 16 layers with 4096 channels each are the longest parameters there are
FORM_PARTS = 20


class Application(APIFlask):
    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """The function itself: none of ours is async, and to look at each of a request's dozen takes its time."""
        return func


def create_app(settings: "Settings | None" = None, *, services: Services | None = None) -> APIFlask:
    """The application on these settings, by default the environment's. Tests hand in services on twins.

    Raises UnfitService when Redis or the object storage lacks something that jobs rely on.
    """
    if settings is None:
        from shared.settings import load  # noqa: PLC0415 - not at import, which is to stay quick

        settings = load()
    catalog.extend(settings.catalog)
    warnings.filterwarnings("error", module=r"PIL(\..*)?")  # a picture that Pillow warns of is refused

    app = Application(
        __name__, title="Dreamqueue", version=VERSION, spec_path="/openapi.json", docs_path=None, json_errors=False
    )
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_upload_bytes,
        MAX_FORM_MEMORY_SIZE=FORM_FIELD_BYTES,
        MAX_FORM_PARTS=FORM_PARTS,
    )
    if settings.proxies:  # gunicorn sees to the scheme itself, from the peers that it trusts
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.proxies, x_proto=0)  # type: ignore[method-assign] # as Flask says
    app.json = DefaultJSONProvider(app)
    app.json.sort_keys = False  # as the records have them
    app.extensions[EXTENSION] = services = services or connect(settings)
    telemetry.install(app, services.jobs.store, VERSION)
    headers.install(app)
    problems.install(app)
    openapi.install(app)
    auth.install(app)
    for resource in (
        webhooks,
        jobs,
        events,
        outputs,
        uploads,
        models,
        presets,
        status,
        session,
        keys,
        health,
        pages,
        docs,
    ):
        app.register_blueprint(resource.bp)
    limits.install(app, uri=services.limits_uri, timeout_s=settings.redis_timeout_s)
    return app


def connect(settings: "Settings") -> Services:
    """Everything on the real Redis and S3. They may be away for now, but they must not be unfit."""
    services = wire(settings)
    for service in (services.jobs.store, services.jobs.blobs):
        try:
            service.check()
        except UnfitService:
            raise
        except DreamError as exc:
            logger.warning("starting all the same: %s", exc)
    return services


def wire(settings: "Settings") -> Services:
    """Everything on the real Redis and S3, without a call to either."""
    from shared.blobs import S3Blobs  # noqa: PLC0415 - boto3, redis and celery cost half of the import budget
    from shared.changes import RedisChanges  # noqa: PLC0415
    from shared.feed import RedisFeed  # noqa: PLC0415
    from shared.queue import CeleryDoorbell  # noqa: PLC0415
    from shared.store import RedisStore  # noqa: PLC0415

    store = RedisStore.connect(settings)
    return assemble(
        settings,
        store=store,
        blobs=S3Blobs.connect(settings),
        doorbell=CeleryDoorbell.connect(settings),
        feed=RedisFeed.beside(store),
        changes=RedisChanges.connect(settings),
        clock=SystemClock(),
        limits_uri=settings.redis_url,
    )


def assemble(
    settings: "Settings",
    *,
    store: "Store",
    blobs: "Blobs",
    doorbell: "Doorbell",
    feed: "Feed",
    changes: "Changes",
    clock: Clock,
    limits_uri: str = "memory://",
) -> Services:
    """The services on these ports."""
    return Services(
        settings=settings,
        jobs=JobService(store=store, blobs=blobs, doorbell=doorbell, feed=feed, clock=clock),
        intake=Intake(
            store=store,
            blobs=blobs,
            doorbell=doorbell,
            feed=feed,
            clock=clock,
            max_pixels=settings.max_pixels,
            max_bytes=settings.max_upload_bytes,
            max_queued=settings.max_queued,
            webhook_networks=settings.webhook_networks,
        ),
        feed=feed,
        changes=changes,
        keyring=Keyring(blobs, clock),
        strangers=Strangers(clock, per_minute=settings.strangers_per_minute),
        clock=clock,
        limits_uri=limits_uri,
    )
