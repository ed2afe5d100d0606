"""What both sides measure alike. Base units, and never a job's or an owner's name in a label: those are for the log.

The api's own are in `api/http/request_metrics.py`, the worker's in `worker/worker_metrics.py`.
"""

from prometheus_client import Counter, Info, disable_created_metrics

from shared.version import VERSION

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series beside every counter, which nothing of ours asks for

REDIS_ERRORS = Counter("dream_redis_errors", "Calls to Redis that failed, by the client's error.", ["error"])
S3_ERRORS = Counter("dream_s3_errors", "Calls to S3 that failed, by S3's code or the client's error.", ["error"])
S3_REQUESTS = Counter("dream_s3_requests", "Calls to S3, by operation, repeated ones counted once.", ["operation"])

# Answers that a caller asked for: no object, or one that is there already.
EXPECTED = {"NoSuchKey", "NotFound", "404", "PreconditionFailed", "412", "ConditionalRequestConflict"}


def s3_failed(error: str) -> None:
    if error not in EXPECTED:
        S3_ERRORS.labels(error).inc()


def describe_build(component: str) -> None:
    """`dream_build_info`: what runs here. Not in a process that shares its numbers with others."""
    Info("dream_build", "The running version.").info({"version": VERSION, "component": component})
