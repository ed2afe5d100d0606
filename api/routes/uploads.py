"""Creates uploads, for large images that go directly to the object storage."""

from datetime import UTC, datetime

from apiflask import APIBlueprint
from flask import request

from api import request_context
from api.jobs.request_parsing import body
from api.jobs.submission_service import UPLOAD_URL_S
from api.schemas.account_views import UploadView
from api.schemas.requests import UploadRequest

bp = APIBlueprint("uploads", __name__, url_prefix="/v1/uploads", tag="Uploads")


@bp.post("")
@bp.output(UploadView, status_code=201)
@bp.doc(summary="Create an upload", operation_id="createUpload", responses=[408, 413, 415, 422, 429, 503])
def create() -> UploadView:
    """Returns a form for one image: POST its `fields`, followed by the file as `file`, to its `url`.

    Then submit a job as JSON with the upload's `id`. The image is checked then, and the job gets its own copy. Uploads
    are removed after a day.
    """
    services = request_context.services()
    announced = body(request, UploadRequest, optional=True)
    upload_id, form = services.submissions.upload(request_context.owner(), size_bytes=announced.size_bytes)
    return UploadView(
        id=upload_id,
        url=form.url,
        fields=dict(form.fields),
        max_bytes=services.submissions.max_bytes,
        expires_at=datetime.fromtimestamp(services.clock.now() + UPLOAD_URL_S, UTC),
    )
