"""What a job has made."""

from apiflask import APIBlueprint
from flask import Response, redirect, request
from werkzeug.wrappers import Response as AnyResponse

from api import request_context
from api.schemas.job_view import GradientList, GradientView
from shared.errors import InvalidField

PICTURE: dict[int, str] = {
    303: "Its short-lived address.",
    404: "No such job.",
    409: "The job has none, or not yet.",
    410: "Expired.",
    422: "No such picture.",
    429: "Too many.",
    503: "Away.",
}

bp = APIBlueprint("outputs", __name__, url_prefix="/v1/jobs/<job_id>", tag="Outputs")


@bp.get("/input")
@bp.doc(
    summary="Download the photograph",
    operation_id="getInput",
    responses={303: "Its short-lived address.", 404: "No such job.", 410: "Expired.", 429: "Too many.", 503: "Away."},
)
def photograph(job_id: str) -> AnyResponse:
    """As it was submitted."""
    return _elsewhere(request_context.jobs().input_url(request_context.owner(), job_id))


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
    """In full size and the format asked for, straight from the object storage. Ask again when it has expired."""
    return _elsewhere(request_context.jobs().result_url(request_context.owner(), job_id))


@bp.get("/guide")
@bp.doc(summary="Download the guide", operation_id="getGuide", responses=PICTURE)
def guide(job_id: str) -> AnyResponse:
    """As it was submitted; 409 when the job has none."""
    return _elsewhere(request_context.jobs().input_url(request_context.owner(), job_id, "guide"))


@bp.get("/mask")
@bp.doc(summary="Download the mask", operation_id="getMask", responses=PICTURE)
def mask(job_id: str) -> AnyResponse:
    """As it was submitted; 409 when the job has none."""
    return _elsewhere(request_context.jobs().input_url(request_context.owner(), job_id, "mask"))


@bp.get("/data")
@bp.doc(summary="Download the numbers of feature maps", operation_id="getData", responses=PICTURE)
def data(job_id: str) -> AnyResponse:
    """NumPy's NPZ: `maps` (height, width, channels) and `channels`."""
    return _elsewhere(request_context.jobs().data_url(request_context.owner(), job_id))


@bp.get("/gradients")
@bp.output(GradientList)
@bp.doc(summary="List the kept gradients", operation_id="listGradients", responses=[404, 429, 503])
def gradients(job_id: str) -> GradientList:
    """Of a job with `keep_gradients`: one picture per octave, as it goes."""
    octaves = request_context.jobs().gradients(request_context.owner(), job_id)
    here = f"/v1/jobs/{job_id}/gradients"
    return GradientList(gradients=tuple(GradientView(octave=octave, url=f"{here}/{octave}") for octave in octaves))


@bp.get("/gradients/<octave>")
@bp.doc(summary="Download an octave's gradient", operation_id="getGradient", responses={**PICTURE, 422: "No octave."})
def gradient(job_id: str, octave: str) -> AnyResponse:
    """The smoothed gradient of the octave's last iteration; gray is nothing."""
    if not (octave.isdecimal() and len(octave) < 3):
        raise InvalidField("an octave is a number; 0 is the smallest", path="octave")
    return _elsewhere(request_context.jobs().gradient_url(request_context.owner(), job_id, int(octave)))


@bp.get("/report")
@bp.doc(summary="How it was made", operation_id="getReport", responses=[404, 409, 410, 429, 503])
def report(job_id: str) -> Response:
    """The resolved recipe, versions, timings and gradient statistics, as JSON."""
    return _conditional(request_context.jobs().report(request_context.owner(), job_id), "application/json")


@bp.get("/preview")
@bp.doc(summary="The picture so far", operation_id="getPreview", responses=[404, 409, 410, 429, 503])
def preview(job_id: str) -> Response:
    """A small JPEG."""
    return _conditional(request_context.jobs().preview(request_context.owner(), job_id), "image/jpeg")


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
