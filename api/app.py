"""The WSGI application: `gunicorn "api.app:create_app()"`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from apiflask import APIFlask
from flask.json.provider import DefaultJSONProvider
from werkzeug.middleware.proxy_fix import ProxyFix

from api.access import authentication, request_limits, security_headers
from api.http import conditional, openapi, problem_responses, request_metrics
from api.jobs.forms import FormRequest
from api.jobs.request_parsing import MAX_TEXT_BYTES
from api.request_context import EXTENSION
from api.routes import (
    docs,
    events,
    health,
    jobs,
    keys,
    models,
    outputs,
    pages,
    presets,
    session,
    status,
    uploads,
    webhooks,
)
from api.wiring import Services, connect
from shared.networks import catalog
from shared.version import VERSION

if TYPE_CHECKING:
    from shared.settings import Settings

RESOURCES = (
    *(webhooks, jobs, events, outputs, uploads, models, presets, status, session, keys, health),  # as /docs lists them
    *(pages, docs),
)
FORM_PARTS = 20


class Application(APIFlask):
    request_class = FormRequest

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Returns the function itself: no view is async, and checking a dozen functions per request costs time."""
        return func


def create_app(settings: "Settings | None" = None, *, services: Services | None = None) -> APIFlask:
    """Creates the application.

    settings: read from the environment by default.   services: passed by tests, on fakes.
    Raises InvalidSettings, or UnfitService when Redis or the object storage lacks something that jobs rely on.
    """
    if settings is None:
        from shared.settings import load  # noqa: PLC0415 - keeps importing this module fast

        settings = load()
    catalog.extend(settings.catalog)

    app = Application(
        __name__, title="Dreamqueue", version=VERSION, spec_path="/openapi.json", docs_path=None, json_errors=False
    )
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_upload_bytes,
        MAX_FORM_MEMORY_SIZE=MAX_TEXT_BYTES,
        MAX_FORM_PARTS=FORM_PARTS,
    )
    if settings.trusted_proxies:  # x_proto=0: the gateway sets the scheme itself, for the peers that it trusts
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=settings.trusted_proxies, x_proto=0)  # type: ignore[method-assign] # Flask's documented way
    app.json = DefaultJSONProvider(app)
    app.json.sort_keys = False  # keep the order of the schemas
    app.extensions[EXTENSION] = services = services or connect(settings)
    request_metrics.install(app, services.jobs.store)
    security_headers.install(app)
    problem_responses.install(app)
    openapi.install(app)
    conditional.install(app)
    authentication.install(app)
    for resource in RESOURCES:
        app.register_blueprint(resource.bp)
    request_limits.install(app, *services.rate_limit_storage)
    return app
