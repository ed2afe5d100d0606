"""Checks Redis and S3 at start-up, before any job is claimed."""

import sys
import threading

import structlog

from shared.errors import DreamError, UnfitService
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import EX_CONFIG, Settings

log = structlog.get_logger(__name__)

RETRY_INTERVAL_S = 2.0


def wait_for_services(settings: Settings, stop: threading.Event | None = None) -> bool:
    """Waits until Redis and S3 answer. Returns False if `stop` is set first; exits with a message if one is unfit.

    Retries while a service is unavailable. Refuses one that could lose or duplicate jobs.
    """
    stop = stop or threading.Event()
    while True:
        try:
            RedisJobStore.connect(settings).check()
            S3ObjectStorage.connect(settings).check()
        except UnfitService as exc:
            log.critical("startup_refused", code=exc.code, reason=str(exc))
            sys.exit(EX_CONFIG)
        except DreamError as exc:
            log.warning("dependency_unavailable", reason=str(exc), cause=str(exc.__cause__ or ""))
        else:
            return True
        if stop.wait(RETRY_INTERVAL_S):
            return False
