"""What a job has made."""

from apiflask import APIBlueprint
from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from api import context

bp = APIBlueprint("outputs", __name__, url_prefix="/v1/jobs/<job_id>", tag="Outputs")


@bp.get("/input")
@bp.doc(
    summary="Download the photograph",
    operation_id="getInput",
    responses={303: "Its short-lived address.", 404: "No such job.", 410: "Expired.", 429: "Too many.", 503: "Away."},
)
def photograph(job_id: str) -> AnyResponse:
    """As it was submitted."""
    return _elsewhere(context.jobs().input_url(context.owner(), job_id))


@bp.get("/result")
@bp.doc(
    summary="Download the dream",
    operation_id="getResult",
    responses={
        303: "The picture's short-lived address.",
        404: "No such job.",
        409: "No result.",
        410: "Expired.",
        429: "Too many.",
        503: "Away.",
    },
)
def result(job_id: str) -> AnyResponse:
    """A PNG in full size, straight from the object storage. Ask again when the address has expired."""
    return _elsewhere(context.jobs().result_url(context.owner(), job_id))


@bp.get("/report")
@bp.doc(summary="How it was made", operation_id="getReport", responses=[404, 409, 410, 429, 503])
def report(job_id: str) -> Response:
    """The resolved recipe, versions, timings and gradient statistics, as JSON."""
    return _conditional(context.jobs().report(context.owner(), job_id), "application/json")


@bp.get("/preview")
@bp.doc(summary="The picture so far", operation_id="getPreview", responses=[404, 409, 410, 429, 503])
def preview(job_id: str) -> Response:
    """A small JPEG."""
    return _conditional(context.jobs().preview(context.owner(), job_id), "image/jpeg")


def _elsewhere(address: str) -> AnyResponse:
    response = redirect(address, code=303)
    response.headers["Cache-Control"] = "no-store"
    return response


def _conditional(body: bytes, mimetype: str) -> Response:
    response = Response(body, mimetype=mimetype)
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
