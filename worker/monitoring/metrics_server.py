"""Serves /metrics for Prometheus and /readyz for readiness probes."""

import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING
from wsgiref.simple_server import WSGIRequestHandler, make_server

import structlog
from prometheus_client import make_wsgi_app

from shared import dependency_metrics
from shared.settings import Settings

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

log = structlog.get_logger(__name__)


class _QuietHandler(WSGIRequestHandler):
    timeout = 5  # seconds: a client that sends nothing must not block the others forever

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name in the standard library
        """Logs nothing: probes ask every few seconds."""


def serve(settings: Settings, *, component: str, ready: Callable[[], bool]) -> None:
    """Starts serving on a background thread if a port is set. Logs a warning if the port is taken."""
    if settings.metrics_port is None:
        return
    metrics = make_wsgi_app()

    def answer(environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        if environ["PATH_INFO"] != "/readyz":
            return metrics(environ, start_response)  # type: ignore[no-any-return]
        start_response("200 OK" if ready() else "503 Service Unavailable", [("Content-Type", "text/plain")])
        return [b"ready\n" if ready() else b"not ready\n"]

    try:
        server = make_server(settings.metrics_host, settings.metrics_port, answer, handler_class=_QuietHandler)
    except OSError as exc:
        log.warning("metrics_port_unavailable", port=settings.metrics_port, reason=str(exc))
        return
    dependency_metrics.describe_build(component)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
