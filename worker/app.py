"""Wires the worker into Celery: the parent receives messages, its one child process holds the network.

Run: celery -A worker.app worker
"""

import os
import signal
import sys
import threading
import time
from contextlib import suppress

import billiard
import structlog
from celery import signals
from celery.exceptions import WorkerShutdown
from celery.worker.consumer import Consumer

from shared import logs
from shared.celery_app import make_app, receive_tiles
from shared.errors import InvalidSettings
from shared.networks import catalog
from shared.settings import EX_CONFIG, load_or_exit
from worker.monitoring import liveness_file
from worker.sharing.host import host_of, queue_of
from worker.sharing.numerics import fingerprint
from worker.startup_checks import wait_for_services

DRAIN_SIGNAL = signal.SIGUSR2  # billiard installs its own handlers for the others once the child is initialized
SIGNAL_INTERVAL_S = 0.1

log = structlog.get_logger(__name__)

settings = load_or_exit()
app = make_app(settings)
app.conf.include = ["worker.tasks"]


@signals.setup_logging.connect
def _configure_logging(**_: object) -> None:
    logs.configure()


@signals.celeryd_init.connect
def _check_services(**_: object) -> None:
    logs.configure()
    liveness_file.start(settings.liveness_file)
    wait_for_services(settings)
    try:
        catalog.extend(settings.catalog)
    except InvalidSettings as exc:
        log.critical("startup_refused", reason=str(exc))
        sys.exit(EX_CONFIG)
    if settings.share_dreams:
        near = [queue_of(fingerprint(), host)] if (host := host_of(settings)) else []
        receive_tiles(app, [*near, fingerprint()], settings.models or catalog.MODELS)


@signals.worker_process_init.connect
def _start_child(**_: object) -> None:
    """Starts the child. It ignores SIGTERM to the whole process group: its parent drains it."""
    # SIG_IGN is the only SIGTERM handler that billiard does not replace.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    from worker import child  # noqa: PLC0415 - the parent never imports TensorFlow

    signal.signal(DRAIN_SIGNAL, lambda *_: os._exit(0))  # nothing to release while it loads
    try:
        child.start(settings)
    except Exception as exc:  # Celery would log it and keep a child that can't run jobs
        log.critical("startup_refused", reason=str(exc), exc_info=not isinstance(exc, InvalidSettings))
        os._exit(EX_CONFIG if isinstance(exc, InvalidSettings) else os.EX_SOFTWARE)
    signal.signal(DRAIN_SIGNAL, lambda *_: child.drain.set())


@signals.worker_ready.connect
def _exit_when_child_cannot_start(sender: Consumer, **_: object) -> None:
    """Ends the parent with the child's exit code: a new child would fail too, so the supervisor has to know."""
    pool = sender.pool._pool  # noqa: SLF001 - Celery has no signal for a child's exit code
    on_process_down = pool.on_process_down

    def check_exit_code(process: billiard.Process) -> None:
        on_process_down(process)
        if process.exitcode in {EX_CONFIG, os.EX_SOFTWARE}:
            raise WorkerShutdown(process.exitcode)

    pool.on_process_down = check_exit_code


@signals.worker_shutting_down.connect
def _drain_child(**_: object) -> None:
    """Signals the child on the parent's first SIGTERM, because the parent itself waits for the task to end."""
    threading.Thread(target=_signal_children, name="drain", daemon=True).start()


def _signal_children() -> None:
    """Signals each child once, until the parent ends: for a moment it still replaces children that exit."""
    signaled: set[int] = set()
    while True:
        for process in billiard.active_children():
            if process.pid is not None and process.pid not in signaled:
                signaled.add(process.pid)
                with suppress(ProcessLookupError):
                    os.kill(process.pid, DRAIN_SIGNAL)
        time.sleep(SIGNAL_INTERVAL_S)
