"""What one worker child holds: the network in memory, the runner, and its sign of life."""

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import structlog

from shared import catalog, logs
from shared.blobs import S3Blobs
from shared.clock import SystemClock
from shared.errors import DreamError
from shared.ports import WorkerInfo
from shared.queue import CeleryDoorbell
from shared.settings import Settings
from shared.store import RedisStore

if TYPE_CHECKING:
    from worker.dreamer import TensorFlowDreamer
    from worker.runner import Runner

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
    from worker import exporter  # noqa: PLC0415
    from worker.dreamer import TensorFlowDreamer  # noqa: PLC0415
    from worker.runner import Runner  # noqa: PLC0415

    store = RedisStore.connect(settings)
    dreamer = TensorFlowDreamer(settings)
    dreamer.preload()
    _runner = Runner(
        store=store,
        blobs=S3Blobs.connect(settings),
        doorbell=CeleryDoorbell.connect(settings),
        dreamer=dreamer,
        clock=SystemClock(),
        settings=settings,
        drain=drain,
        die=lambda: os.kill(os.getpid(), signal.SIGKILL),
    )
    threading.Thread(target=_beat, args=(store, dreamer, _runner, settings), name="beat", daemon=True).start()
    exporter.serve(settings, component="worker", ready=lambda: bool(dreamer.models()) and not drain.is_set())


def runner() -> "Runner":
    """This child's runner. Raises RuntimeError before `start`."""
    if _runner is None:
        raise RuntimeError("worker.child.start has not run in this process")
    return _runner


def _beat(store: RedisStore, dreamer: "TensorFlowDreamer", running: "Runner", settings: Settings) -> None:
    """Says who is alive, what it can dream and what it runs, until it is told to end; and sees to it that it does."""
    while True:
        info = WorkerInfo(
            name=settings.worker_name, models=dreamer.models(), device=dreamer.device, job_id=running.job_id, seen_at=0
        )
        try:
            store.beat(info, ttl_s=settings.lease_s)
        except DreamError as exc:
            log.warning("beat_skipped", reason=str(exc))
        if drain.wait(settings.lease_s / BEATS_PER_LIFE):
            break
    time.sleep(DRAIN_LIMIT_S)
    if running.job_id is not None:  # a slow or missing S3, say; the last checkpoint that got there serves
        log.warning("drain_cut_short", job_id=running.job_id)
        handing_back = threading.Thread(target=running.give_up, daemon=True)
        handing_back.start()
        handing_back.join(HAND_BACK_LIMIT_S)
        os._exit(0)
