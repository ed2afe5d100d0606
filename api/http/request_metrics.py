"""Observability of the API: Prometheus metrics at `/metrics`, and one log event per request."""

import time
from collections.abc import Iterator
from functools import lru_cache
from typing import get_args

import structlog
from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, g, request
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, exposition
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from werkzeug.exceptions import NotFound

from shared.errors import DreamError
from shared.interfaces import JobStore
from shared.jobs.job import JobState, Kind
from shared.version import VERSION

log = structlog.get_logger(__name__)

REQUESTS = Counter("dream_http_requests", "Requests completed.", ["method", "route", "status"])
DURATION = Histogram(
    "dream_http_request_duration_seconds",
    "Seconds from a request's whole arrival, with its body, to the start of its response.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# Requested every few seconds, polls by every waiting client: counted, but logged only when they fail. Logging each poll
# would drown other events and cost a tenth of the poll itself.
UNLOGGED_ROUTES = {"/healthz", "/readyz", "/metrics", "/v1/jobs/<job_id>"}
EXTENSION = "dreamqueue-queue-collector"
READY_AT = (
    "dreamqueue.ready_at"  # in the WSGI environment: since when the request waits for a thread, monotonic seconds
)
LIVE_STATES = [state for state in JobState if not state.is_terminal]

TEXT_CONTENT = {"text/plain": {"schema": {"type": "string"}}}

bp = APIBlueprint("metrics", __name__, tag="Health")


class QueueCollector:
    """Collects gauges of jobs and workers from Redis. All API processes report the same: aggregate with `max`."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("dream_build", "The running version.", value={"version": VERSION, "component": "api"})
        try:
            queue_stats = self._store.queue_stats()
        except DreamError:
            yield GaugeMetricFamily("dream_redis_up", "Whether Redis responds to this API process.", 0)
            return
        yield GaugeMetricFamily("dream_redis_up", "Whether Redis responds to this API process.", 1)
        jobs = GaugeMetricFamily("dream_jobs", "Jobs by kind and state.", labels=["kind", "state"])
        zeros = {(kind, state): 0 for kind in get_args(Kind) for state in LIVE_STATES}  # queries need a 0, not a gap
        for (kind, state), count in (zeros | dict(queue_stats.jobs)).items():
            jobs.add_metric([kind, state], count)
        yield jobs
        waiting = GaugeMetricFamily("dream_jobs_waiting", "Queued jobs by model.", labels=["model"])
        unserved = GaugeMetricFamily(
            "dream_jobs_unserved", "Queued jobs whose model no live worker can serve.", labels=["model"]
        )
        for model, count in queue_stats.waiting.items():
            waiting.add_metric([model], count)
            unserved.add_metric([model], 0 if model in queue_stats.served else count)
        yield from (waiting, unserved)
        yield GaugeMetricFamily(
            "dream_oldest_queued_age_seconds",
            "Seconds since the oldest queued job was submitted.",
            queue_stats.oldest_queued_s,
        )
        yield GaugeMetricFamily("dream_workers", "Live workers that can serve a model.", queue_stats.workers)
        yield GaugeMetricFamily("dream_busy_workers", "Live workers that are running a job.", queue_stats.busy_workers)


def install(app: APIFlask, store: JobStore) -> None:
    """Counts and logs every request of this application, and serves `/metrics`."""
    app.extensions[EXTENSION] = QueueCollector(store)
    app.before_request(_start_timer)
    app.after_request(_record)
    app.register_blueprint(bp)


@bp.get("/metrics")
@bp.doc(
    summary="Metrics for Prometheus",
    responses={200: {"description": "Prometheus text format.", "content": TEXT_CONTENT}},  # type: ignore[arg-type] # APIFlask accepts more than its annotation
)
def metrics() -> Response:
    """Serves Prometheus, which scrapes each host directly; a request through a reverse proxy gets a 404."""
    if "X-Forwarded-For" in request.headers:  # came through the public proxy
        raise NotFound
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # under gunicorn: sums all processes
    except ValueError:
        registry.register(REGISTRY)  # a single process
    registry.register(current_app.extensions[EXTENSION])
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=content_type)


def _start_timer() -> None:
    g.started_at = request.environ.get(READY_AT, time.monotonic())


def _record(response: Response) -> Response:
    seconds = time.monotonic() - g.get("started_at", time.monotonic())
    # Label by rule, not by path: otherwise clients could create any number of time series.
    route = request.url_rule.rule if request.url_rule else "unmatched"
    method = request.method if request.method in METHODS else "other"
    requests, duration = _metrics(method, route, response.status_code)
    requests.inc()
    duration.observe(seconds)
    if route in UNLOGGED_ROUTES and method in {"GET", "HEAD"} and response.status_code < 400:
        return response
    # Neither the query nor headers are logged: they may hold keys.
    fields = {"method": method, "route": route, "status": response.status_code, "duration_s": round(seconds, 4)}
    if job_id := (request.view_args or {}).get("job_id") or _submitted_job(response):
        fields["job_id"] = job_id
    (log.warning if response.status_code >= 500 else log.info)("request_completed", **fields)
    return response


@lru_cache(maxsize=4096)
def _metrics(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), DURATION.labels(method, route)


def _submitted_job(response: Response) -> str | None:
    return response.location.rsplit("/", 1)[-1] if response.status_code == 202 and response.location else None
