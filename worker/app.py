"""Celery wiring. The parent only listens; the one child holds the model. Run: celery -A worker.app worker"""

import os
import signal
import threading
import time
from contextlib import suppress

import billiard
import structlog
from celery import signals
from celery.exceptions import WorkerShutdown
from celery.worker.consumer import Consumer

from shared import logs
from shared.celery_app import make_app
from shared.errors import InvalidSettings
from shared.settings import EX_CONFIG, load_or_exit
from worker import liveness_file
from worker.startup_checks import wait_for_services

DRAIN_SIGNAL = signal.SIGUSR2  # billiard takes the others for itself once the child is initialized
TELL_EVERY_S = 0.1

log = structlog.get_logger(__name__)

settings = load_or_exit()
app = make_app(settings)
app.conf.include = ["worker.tasks"]


@signals.setup_logging.connect
def _log_alike(**_: object) -> None:
    logs.configure()


@signals.celeryd_init.connect
def _refuse_unfit_services(**_: object) -> None:
    logs.configure()
    liveness_file.start(settings.liveness_file)
    wait_for_services(settings)


@signals.worker_process_init.connect
def _start_child(**_: object) -> None:
    """In the child: from here on a SIGTERM to the whole process group leaves it to its parent to drain it."""
    # billiard replaces every handler for SIGTERM but this one.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    from worker import child  # noqa: PLC0415 - the parent never imports TensorFlow

    signal.signal(DRAIN_SIGNAL, lambda *_: os._exit(0))  # while it loads there is nothing to hand back
    try:
        child.start(settings)
    except Exception as exc:  # Celery would log it and go on with a child that can do nothing
        log.critical("startup_refused", reason=str(exc), exc_info=not isinstance(exc, InvalidSettings))
        os._exit(EX_CONFIG if isinstance(exc, InvalidSettings) else os.EX_SOFTWARE)
    signal.signal(DRAIN_SIGNAL, lambda *_: child.drain.set())


@signals.worker_ready.connect
def _end_with_a_child_that_can_not_start(sender: Consumer, **_: object) -> None:
    """In the parent: another child would fare no better, so whoever supervises us should hear of it."""
    pool = sender.pool._pool  # noqa: SLF001 - Celery has no signal for a child's exit code
    forget = pool.on_process_down

    def look(process: billiard.Process) -> None:
        forget(process)
        if process.exitcode in {EX_CONFIG, os.EX_SOFTWARE}:
            raise WorkerShutdown(process.exitcode)

    pool.on_process_down = look


@signals.worker_shutting_down.connect
def _drain_child(**_: object) -> None:
    """In the parent, on the first SIGTERM: it waits for the task, so the child has to hear that it should stop."""
    threading.Thread(target=_tell_children, name="drain", daemon=True).start()


def _tell_children() -> None:
    """Once each, until the parent has ended: for a moment it still replaces a child that goes."""
    told: set[int] = set()
    while True:
        for process in billiard.active_children():
            if process.pid is not None and process.pid not in told:
                told.add(process.pid)
                with suppress(ProcessLookupError):
                    os.kill(process.pid, DRAIN_SIGNAL)
        time.sleep(TELL_EVERY_S)
