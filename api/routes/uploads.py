"""Creates uploads, for large images that go directly to the object storage: with a form, or by parts."""

from datetime import UTC, datetime

from apiflask import APIBlueprint
from flask import request

from api import request_context
from api.jobs.request_parsing import body
from api.jobs.submission_service import UPLOAD_URL_S
from api.jobs.upload_service import KEPT_S, PART_URL_S
from api.schemas.account_views import FinishedUploadView, PartList, PartsUploadView, PartView, UploadView
from api.schemas.requests import PartsQuery, PartsRequest, UploadRequest

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
        expires_at=_after(UPLOAD_URL_S),
    )


@bp.post("/parts")
@bp.output(PartsUploadView, status_code=201)
@bp.doc(summary="Begin an upload by parts", operation_id="beginUpload", responses=[408, 413, 415, 422, 429, 501, 503])
def begin() -> PartsUploadView:
    """Begins an upload of one large image in parts, each of which can be repeated if it fails.

    List the parts, PUT each to its URL, complete the upload; then submit a job as JSON with the upload's `id`, as for
    one with a form. An owner may have 16 unfinished uploads; after a day they are removed.
    """
    announced = body(request, PartsRequest)
    upload_id, upload = request_context.services().uploads.begin(request_context.owner(), announced.size_bytes)
    return PartsUploadView(
        id=upload_id,
        size_bytes=upload.size_bytes,
        part_bytes=upload.part_bytes,
        parts=upload.parts,
        expires_at=_after(KEPT_S),
    )


@bp.get("/<string(length=26):upload_id>/parts")
@bp.input(PartsQuery, location="query", arg_name="query")
@bp.output(PartList)
@bp.doc(summary="List parts to send", operation_id="listParts", responses=[404, 422, 429, 503])
def list_parts(upload_id: str, query: PartsQuery) -> PartList:
    """Lists parts with the URLs to send them to, and whether they have arrived, so that an upload can go on."""
    parts, following = request_context.services().uploads.parts(
        request_context.owner(), upload_id, first=query.first, limit=query.limit
    )
    return PartList(
        parts=tuple(PartView(**vars(part)) for part in parts),
        next=following,
        expires_at=_after(PART_URL_S),
    )


@bp.post("/<string(length=26):upload_id>/complete")
@bp.output(FinishedUploadView)
@bp.doc(summary="Complete an upload by parts", operation_id="completeUpload", responses=[404, 409, 429, 503])
def complete(upload_id: str) -> FinishedUploadView:
    """Joins the parts. The image is checked when a job is submitted. Can be repeated.

    A 409 names parts that are missing or have another size than listed; they can still be sent.
    """
    size_bytes = request_context.services().uploads.complete(request_context.owner(), upload_id)
    return FinishedUploadView(id=upload_id, size_bytes=size_bytes)


@bp.delete("/<string(length=26):upload_id>")
@bp.output({}, status_code=204)
@bp.doc(summary="Remove an upload", operation_id="removeUpload", responses=[404, 429, 503])
def remove(upload_id: str) -> str:
    """Aborts the upload, or removes the uploaded image; jobs that were submitted with it keep their copy."""
    request_context.services().uploads.abort(request_context.owner(), upload_id)
    return ""


def _after(seconds: float) -> datetime:
    return datetime.fromtimestamp(request_context.services().clock.now() + seconds, UTC)
