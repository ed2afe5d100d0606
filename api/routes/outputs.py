"""What a job has made."""

from apiflask import APIBlueprint
from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from api import context

bp = APIBlueprint("outputs", __name__, url_prefix="/v1/jobs/<job_id>", tag="Outputs")


@bp.get("/result")
@bp.doc(
    summary="Download the dream",
    responses={303: "The picture's short-lived address.", 404: "No such job.", 409: "No result.", 410: "Expired."},
)
def result(job_id: str) -> AnyResponse:
    """A PNG in full size, straight from the object storage. Ask again when the address has expired."""
    response = redirect(context.jobs().result_url(context.owner(), job_id), code=303)
    response.headers["Cache-Control"] = "no-store"
    return response


@bp.get("/report")
@bp.doc(summary="How it was made", responses=[404, 409, 410])
def report(job_id: str) -> Response:
    """The resolved recipe, versions, timings and gradient statistics, as JSON."""
    return _conditional(context.jobs().report(context.owner(), job_id), "application/json")


@bp.get("/preview")
@bp.doc(summary="The picture so far", responses=[404, 409, 410])
def preview(job_id: str) -> Response:
    """A small JPEG."""
    return _conditional(context.jobs().preview(context.owner(), job_id), "image/jpeg")


def _conditional(body: bytes, mimetype: str) -> Response:
    response = Response(body, mimetype=mimetype)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
