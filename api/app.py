"""The WSGI application: `gunicorn "api.app:create_app()"`."""

import logging
import warnings
from typing import TYPE_CHECKING

from apiflask import APIFlask
from flask.json.provider import DefaultJSONProvider

from api import openapi, problems, telemetry
from api.context import EXTENSION
from api.routes import health, jobs, models, outputs
from api.service import JobService
from shared import catalog
from shared.clock import SystemClock
from shared.errors import DreamError, UnfitService

if TYPE_CHECKING:
    from shared.settings import Settings

logger = logging.getLogger(__name__)

VERSION = "0.1.0"
FORM_FIELD_BYTES = 1 << 20  # 16 layers with 4096 channels each are the longest parameters there are
FORM_PARTS = 20


def create_app(settings: "Settings | None" = None, *, service: JobService | None = None) -> APIFlask:
    """The application on these settings, by default the environment's. Tests hand in a service on twins.

    Raises UnfitService when Redis or the object storage lacks something that jobs rely on.
    """
    if settings is None:
        from shared.settings import load  # noqa: PLC0415 - not at import, which is to stay quick

        settings = load()
    catalog.extend(settings.catalog)
    warnings.filterwarnings("error", module=r"PIL(\..*)?")  # a picture that Pillow warns of is refused

    app = APIFlask(
        __name__, title="Dreamqueue", version=VERSION, spec_path="/openapi.json", docs_path=None, json_errors=False
    )
    app.config.update(
        MAX_CONTENT_LENGTH=settings.max_upload_bytes,
        MAX_FORM_MEMORY_SIZE=FORM_FIELD_BYTES,
        MAX_FORM_PARTS=FORM_PARTS,
    )
    app.json = DefaultJSONProvider(app)
    app.json.sort_keys = False  # as the records have them
    app.extensions[EXTENSION] = service = service or connect(settings)
    telemetry.install(app, service.store, VERSION)
    problems.install(app)
    openapi.install(app)
    for resource in (jobs, outputs, models, health):
        app.register_blueprint(resource.bp)
    return app


def connect(settings: "Settings") -> JobService:
    """The service on the real Redis and S3. They may be away for now, but they must not be unfit."""
    from shared.blobs import S3Blobs  # noqa: PLC0415 - boto3, redis and celery cost half of the import budget
    from shared.queue import CeleryDoorbell  # noqa: PLC0415
    from shared.store import RedisStore  # noqa: PLC0415

    store, blobs = RedisStore.connect(settings), S3Blobs.connect(settings)
    for service in (store, blobs):
        try:
            service.check()
        except UnfitService:
            raise
        except DreamError as exc:
            logger.warning("starting all the same: %s", exc)
    return JobService(
        store=store,
        blobs=blobs,
        doorbell=CeleryDoorbell.connect(settings),
        clock=SystemClock(),
        max_pixels=settings.max_pixels,
    )
