"""What is asked of Redis and S3 before any job is touched."""

import sys
import threading

import structlog

from shared.errors import DreamError, UnfitService
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import EX_CONFIG, Settings

log = structlog.get_logger(__name__)

AGAIN_S = 2.0


def wait_for_services(settings: Settings, ended: threading.Event | None = None) -> bool:
    """Waits for Redis and S3 to answer. False if it ended first; exits with a sentence if they are unfit.

    Better no worker than one on a store that may lose or double jobs; but one that is only away comes back.
    """
    ended = ended or threading.Event()
    while True:
        try:
            RedisJobStore.connect(settings).check()
            S3ObjectStorage.connect(settings).check()
        except UnfitService as exc:
            log.critical("startup_refused", code=exc.code, reason=str(exc))
            sys.exit(EX_CONFIG)
        except DreamError as exc:
            log.warning("dependency_unavailable", reason=str(exc))
        else:
            return True
        if ended.wait(AGAIN_S):
            return False
