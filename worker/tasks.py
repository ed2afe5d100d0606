"""The Celery task: somebody rang, so look whether there is work."""

import structlog

from shared.celery_app import TASK
from shared.errors import DreamError
from worker import child
from worker.app import app

log = structlog.get_logger(__name__)


@app.task(name=TASK, ignore_result=True)
def work(*_: object, **__: object) -> None:
    """Runs at most one job. Carries nothing, and lets pass what another version may send along."""
    try:
        child.runner().run_next()
    except DreamError as exc:
        # Nothing was claimed, or the lease will lapse: either way the caretaker rings again.
        log.warning("wake_up_failed", code=exc.code, reason=str(exc))
