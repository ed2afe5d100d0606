"""Holds the state of one worker child: the network in memory, the runner, and the worker's registration in Redis."""

import os
import signal
import threading
import time
from functools import partial
from typing import TYPE_CHECKING

import structlog

from shared import logs
from shared.celery_app import CeleryNotifier
from shared.clock import SystemClock
from shared.errors import DreamError
from shared.interfaces import WorkerInfo
from shared.networks import catalog
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from worker.sharing.host import host_of
from worker.sharing.numerics import fingerprint

if TYPE_CHECKING:
    from worker.attempts.tensorflow_dreamer import TensorFlowDreamer
    from worker.runner import Runner
    from worker.sharing.helper import TileHelper

log = structlog.get_logger(__name__)

REGISTRATIONS_PER_LEASE = 3  # a registration expires after missing this many
FETCH_UPDATE_S = 1.0  # between registrations while weights are being fetched, whose progress they show
DRAIN_LIMIT_S, RELEASE_LIMIT_S = 10.0, 2.0  # together below the 15 s that a worker has to end

drain = threading.Event()
_runner: "Runner | None" = None
_tile_helper: "TileHelper | None" = None


def start(settings: Settings) -> None:
    """Loads the first network and starts to register this worker in Redis. Call it once per process."""
    global _runner, _tile_helper  # noqa: PLW0603 - Celery gives a child process no other place for its state
    logs.configure()
    catalog.extend(
        settings.catalog
    )  # before TensorFlow, which takes seconds to load, so that an invalid file fails at once
    # Imported here because Celery's parent imports this module too, and must not load TensorFlow.
    from worker.attempts.tensorflow_dreamer import TensorFlowDreamer  # noqa: PLC0415
    from worker.monitoring import metrics_server  # noqa: PLC0415
    from worker.runner import Runner  # noqa: PLC0415
    from worker.sharing.helper import TileHelper  # noqa: PLC0415
    from worker.sharing.shared_dream import SharedDream  # noqa: PLC0415
    from worker.sharing.tile_exchange import TileExchange  # noqa: PLC0415

    store = RedisJobStore.connect(settings)
    exchange = TileExchange.connect(settings)
    share = partial(
        SharedDream, store=store, exchange=exchange, numerics=fingerprint(), host=host_of(settings), settings=settings
    )
    dreamer = TensorFlowDreamer(settings, share if settings.share_dreams else None)
    dreamer.preload()
    _runner = Runner(
        store=store,
        storage=S3ObjectStorage.connect(settings),
        notifier=CeleryNotifier.connect(settings),
        dreamer=dreamer,
        clock=SystemClock(),
        settings=settings,
        drain=drain,
        die=lambda: os.kill(os.getpid(), signal.SIGKILL),
    )
    _tile_helper = TileHelper(
        name=settings.worker_name, dreamer=dreamer, exchange=exchange, run_next=_runner.run_next, drain=drain
    )
    _runner.octave_times.keep_in(settings.model_dir)
    threading.Thread(
        target=_register_until_drained, args=(store, dreamer, _runner, settings), name="register_worker", daemon=True
    ).start()
    metrics_server.serve(settings, component="worker", ready=lambda: bool(dreamer.models()) and not drain.is_set())


def runner() -> "Runner":
    """Returns this child's runner. Raises RuntimeError before `start`."""
    if _runner is None:
        raise RuntimeError("The runner does not exist yet. Call worker.child.start in this process first.")
    return _runner


def tile_helper() -> "TileHelper":
    """Returns this child's helper. Raises RuntimeError before `start`."""
    if _tile_helper is None:
        raise RuntimeError("The helper does not exist yet. Call worker.child.start in this process first.")
    return _tile_helper


def _register_until_drained(
    store: RedisJobStore, dreamer: "TensorFlowDreamer", active: "Runner", settings: Settings
) -> None:
    """Registers the worker, its models and its job, and takes up requests to fetch weights, until it is drained.

    Ends the process if the drain hangs.
    """
    fetcher = dreamer.fetcher
    while True:
        info = WorkerInfo(
            name=settings.worker_name,
            models=dreamer.models(),
            device=dreamer.device,
            job_id=active.job_id,
            seen_at=0,
            fetchable=fetcher.fetchable(),
            fetches_on_demand=settings.fetch_models,
            fetch=fetcher.current,
            numerics=fingerprint() if settings.share_dreams else "",
            host=host_of(settings),
        )
        try:
            store.register_worker(info, ttl_s=settings.lease_s)
            fetcher.take_up(store.requested_fetches(info.fetchable))
        except DreamError as exc:
            log.warning("worker_registration_failed", reason=str(exc))
        if drain.wait(FETCH_UPDATE_S if fetcher.is_fetching else settings.lease_s / REGISTRATIONS_PER_LEASE):
            break
    time.sleep(DRAIN_LIMIT_S)
    if active.job_id is not None:  # for example, S3 is slow or unavailable; the last stored checkpoint serves
        log.warning("drain_timed_out", job_id=active.job_id)
        release = threading.Thread(target=active.release_job, daemon=True)
        release.start()
        release.join(RELEASE_LIMIT_S)
        os._exit(0)
