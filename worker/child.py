"""What one worker child holds: the network in memory, the runner, and its sign of life."""

import os
import signal
import threading
import time
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

if TYPE_CHECKING:
    from worker.runner import Runner
    from worker.tensorflow_dreamer import TensorFlowDreamer

log = structlog.get_logger(__name__)

BEATS_PER_LIFE = 3  # a worker counts as gone after missing this many
DRAIN_LIMIT_S, HAND_BACK_LIMIT_S = 10.0, 2.0  # the whole worker has 15 s to end

drain = threading.Event()
_runner: "Runner | None" = None


def start(settings: Settings) -> None:
    """Loads the default network and begins to beat. Once per process."""
    global _runner  # noqa: PLW0603 - Celery gives a child no other place to keep it
    logs.configure()
    catalog.extend(settings.catalog)  # before TensorFlow's seconds: a wrong one shows at once
    # Here and not above: Celery's parent imports this module too, and must stay without TensorFlow.
    from worker import metrics_server  # noqa: PLC0415
    from worker.runner import Runner  # noqa: PLC0415
    from worker.tensorflow_dreamer import TensorFlowDreamer  # noqa: PLC0415

    store = RedisJobStore.connect(settings)
    dreamer = TensorFlowDreamer(settings)
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
    threading.Thread(
        target=_beat, args=(store, dreamer, _runner, settings), name="register_worker", daemon=True
    ).start()
    metrics_server.serve(settings, component="worker", ready=lambda: bool(dreamer.models()) and not drain.is_set())


def runner() -> "Runner":
    """This child's runner. Raises RuntimeError before `start`."""
    if _runner is None:
        raise RuntimeError("worker.child.start has not run in this process")
    return _runner


def _beat(store: RedisJobStore, dreamer: "TensorFlowDreamer", running: "Runner", settings: Settings) -> None:
    """Says who is alive, what it can dream and what it runs, until it is told to end; and sees to it that it does."""
    while True:
        info = WorkerInfo(
            name=settings.worker_name, models=dreamer.models(), device=dreamer.device, job_id=running.job_id, seen_at=0
        )
        try:
            store.register_worker(info, ttl_s=settings.lease_s)
        except DreamError as exc:
            log.warning("worker_registration_failed", reason=str(exc))
        if drain.wait(settings.lease_s / BEATS_PER_LIFE):
            break
    time.sleep(DRAIN_LIMIT_S)
    if running.job_id is not None:  # a slow or missing S3, say; the last checkpoint that got there serves
        log.warning("drain_timed_out", job_id=running.job_id)
        handing_back = threading.Thread(target=running.give_up, daemon=True)
        handing_back.start()
        handing_back.join(HAND_BACK_LIMIT_S)
        os._exit(0)
