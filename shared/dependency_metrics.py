"""Prometheus metrics of Redis and S3, shared by the API and the workers.

Base units; a job's id or an owner belongs in the log, never in a label. The API's own metrics are in
`api/http/request_metrics.py`, the worker's in `worker/monitoring/worker_metrics.py`.
"""

from prometheus_client import Counter, Info, disable_created_metrics

from shared.version import VERSION

disable_created_metrics()  # type: ignore[no-untyped-call] # a second series per counter that no dashboard uses

REDIS_ERRORS = Counter("dream_redis_errors", "Calls to Redis that failed, by the client's error.", ["error"])
S3_ERRORS = Counter("dream_s3_errors", "Calls to S3 that failed, by S3's code or the client's error.", ["error"])
S3_REQUESTS = Counter("dream_s3_requests", "Calls to S3, by operation; a retried call counts once.", ["operation"])

# Answers that callers expect: no such object, or one that exists already.
EXPECTED = {"NoSuchKey", "NotFound", "404", "PreconditionFailed", "412", "ConditionalRequestConflict"}


def s3_failed(error: str) -> None:
    if error not in EXPECTED:
        S3_ERRORS.labels(error).inc()


def describe_build(component: str) -> None:
    """Publishes `dream_build_info`. Do not call it in a process that shares its metrics with others."""
    Info("dream_build", "The running version.").info({"version": VERSION, "component": component})
