"""The Celery tasks of a worker: a wake-up, and a tile of another worker's dream."""

import structlog

from shared.celery_app import TASK, TILE_TASK
from shared.errors import DreamError
from worker import child
from worker.app import app

log = structlog.get_logger(__name__)


@app.task(name=TASK, ignore_result=True)
def work(*_: object, **__: object) -> None:
    """Runs at most one job. Ignores every argument, because another version may send some."""
    try:
        child.runner().run_next()
    except DreamError as exc:
        # Nothing was claimed, or the lease will expire: either way the caretaker sends another wake-up.
        log.warning("wake_up_failed", code=exc.code, reason=str(exc))


@app.task(name=TILE_TASK, ignore_result=True)
def compute_tile(request: object = None, **__: object) -> None:
    """Computes a tile of another worker's dream, or runs a waiting job instead."""
    try:
        child.tile_helper().help(request)
    except DreamError as exc:
        log.warning("tile_failed", code=exc.code, reason=str(exc))
