"""What the api tells those who operate it: numbers by route at `/metrics`, and one log record per request."""

import logging
import time
from collections.abc import Iterator
from functools import lru_cache
from typing import get_args

from apiflask import APIBlueprint, APIFlask
from flask import Response, current_app, g, request
from prometheus_client import REGISTRY, CollectorRegistry, Counter, Histogram, exposition
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from werkzeug.exceptions import NotFound

from shared.errors import DreamError
from shared.interfaces import JobStore
from shared.jobs import JobState, Kind
from shared.version import VERSION

logger = logging.getLogger(__name__)

REQUESTS = Counter("dream_http_requests", "Requests answered.", ["method", "route", "status"])
DURATION = Histogram(
    "dream_http_request_duration_seconds",
    "From a request's arrival to the begin of its answer.",
    ["method", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60),
)
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
# Asked every few seconds, polls by everybody who waits: counted, but logged only when they fail. A record of each poll
# would hide the others, and cost a tenth of the poll.
OFTEN = {"/healthz", "/readyz", "/metrics", "/v1/jobs/<job_id>"}
STORE = "dreamqueue-telemetry"
LIVE = [state for state in JobState if not state.is_terminal]

TEXT = {"text/plain": {"schema": {"type": "string"}}}

bp = APIBlueprint("telemetry", __name__, tag="Health")


class Fleet:
    """The jobs and workers as Redis has them. Every api process would say the same: take the `max` over them."""

    def __init__(self, store: JobStore) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        yield InfoMetricFamily("dream_build", "The running version.", value={"version": VERSION, "component": "api"})
        try:
            queue_stats = self._store.queue_stats()
        except DreamError:
            yield GaugeMetricFamily("dream_redis_up", "Whether Redis answers this api process.", 0)
            return
        yield GaugeMetricFamily("dream_redis_up", "Whether Redis answers this api process.", 1)
        jobs = GaugeMetricFamily("dream_jobs", "Jobs by kind and state.", labels=["kind", "state"])
        none_yet = {(kind, state): 0 for kind in get_args(Kind) for state in LIVE}  # a query finds a 0, not nothing
        for (kind, state), count in (none_yet | dict(queue_stats.jobs)).items():
            jobs.add_metric([kind, state], count)
        yield jobs
        waiting = GaugeMetricFamily("dream_jobs_waiting", "Queued jobs by the model they want.", labels=["model"])
        unserved = GaugeMetricFamily(
            "dream_jobs_unserved", "Queued jobs whose model no live worker has in memory.", labels=["model"]
        )
        for model, count in queue_stats.waiting.items():
            waiting.add_metric([model], count)
            unserved.add_metric([model], 0 if model in queue_stats.served else count)
        yield from (waiting, unserved)
        yield GaugeMetricFamily(
            "dream_oldest_queued_age_seconds", "Since the oldest queued job was submitted.", queue_stats.oldest_queued_s
        )
        yield GaugeMetricFamily("dream_workers", "Live workers with a model in memory.", queue_stats.workers)
        yield GaugeMetricFamily("dream_busy_workers", "Live workers that run a job.", queue_stats.busy_workers)


def install(app: APIFlask, store: JobStore) -> None:
    """Counts and logs every request of this application, and serves `/metrics`."""
    app.extensions[STORE] = Fleet(store)
    app.before_request(_begin)
    app.after_request(_count)
    app.register_blueprint(bp)


@bp.get("/metrics")
@bp.doc(
    summary="Numbers for Prometheus",
    responses={200: {"description": "Prometheus' text format.", "content": TEXT}},  # type: ignore[arg-type] # APIFlask takes more than it says
)
def metrics() -> Response:
    """For Prometheus, which asks each process' host itself; behind a reverse proxy there is nothing to see."""
    if "X-Forwarded-For" in request.headers:  # came through the public door
        raise NotFound
    registry = CollectorRegistry()
    try:
        MultiProcessCollector(registry)  # type: ignore[no-untyped-call] # under gunicorn: all processes together
    except ValueError:
        registry.register(REGISTRY)  # a single process
    registry.register(current_app.extensions[STORE])
    encode, content_type = exposition.choose_encoder(request.headers.get("Accept", ""))
    return Response(encode(registry), content_type=content_type)


def _begin() -> None:
    g.begun = time.monotonic()


def _count(response: Response) -> Response:
    seconds = time.monotonic() - g.get("begun", time.monotonic())
    # The rule and not the path: nobody can fill Prometheus with made-up addresses.
    route = request.url_rule.rule if request.url_rule else "unmatched"
    method = request.method if request.method in METHODS else "other"
    requests, duration = _counters(method, route, response.status_code)
    requests.inc()
    duration.observe(seconds)
    if route in OFTEN and method in {"GET", "HEAD"} and response.status_code < 400:
        return response
    # No query and no headers: keys may be in them.
    about = {"method": method, "route": route, "status": response.status_code, "seconds": round(seconds, 4)}
    if job_id := (request.view_args or {}).get("job_id") or _submitted(response):
        about["job_id"] = job_id
    logger.log(logging.WARNING if response.status_code >= 500 else logging.INFO, "request", extra=about)
    return response


@lru_cache(maxsize=4096)
def _counters(method: str, route: str, status: int) -> tuple[Counter, Histogram]:
    return REQUESTS.labels(method, route, status), DURATION.labels(method, route)


def _submitted(response: Response) -> str | None:
    return response.location.rsplit("/", 1)[-1] if response.status_code == 202 and response.location else None
