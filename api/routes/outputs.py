"""Serves a job's images, report and data."""

from apiflask import APIBlueprint
from flask import Response, redirect
from werkzeug.wrappers import Response as AnyResponse

from api import request_context
from api.http.conditional import make_conditional
from api.schemas.job_view import GradientList, GradientView
from shared.errors import InvalidField

IMAGE_RESPONSES: dict[int, str] = {
    303: "Redirects to a short-lived address.",
    404: "The job does not exist.",
    409: "The job has none, or none yet.",
    410: "The file has expired.",
    422: "The file does not exist.",
    429: "Too many requests.",
    503: "Redis or the object storage is unavailable.",
}

bp = APIBlueprint("outputs", __name__, url_prefix="/v1/jobs/<job_id>", tag="Outputs")


@bp.get("/input")
@bp.doc(
    summary="Download the photograph",
    operation_id="getInput",
    responses={status: IMAGE_RESPONSES[status] for status in (303, 404, 410, 429, 503)},
)
def submitted_photograph(job_id: str) -> AnyResponse:
    """Redirects to the photograph as submitted."""
    return _redirect(request_context.jobs().input_url(request_context.owner(), job_id))


@bp.get("/result")
@bp.doc(
    summary="Download the result",
    operation_id="getResult",
    responses={
        **{status: IMAGE_RESPONSES[status] for status in (303, 404, 410, 429, 503)},
        409: "The job has no result, or none yet.",
    },
)
def result(job_id: str) -> AnyResponse:
    """Redirects to the result in the object storage. Request a new address once this one has expired."""
    return _redirect(request_context.jobs().result_url(request_context.owner(), job_id))


@bp.get("/guide")
@bp.doc(summary="Download the guide", operation_id="getGuide", responses=IMAGE_RESPONSES)
def guide(job_id: str) -> AnyResponse:
    """Redirects to the guide as submitted; 409 if the job has none."""
    return _redirect(request_context.jobs().input_url(request_context.owner(), job_id, "guide"))


@bp.get("/mask")
@bp.doc(summary="Download the mask", operation_id="getMask", responses=IMAGE_RESPONSES)
def mask(job_id: str) -> AnyResponse:
    """Redirects to the mask as submitted; 409 if the job has none."""
    return _redirect(request_context.jobs().input_url(request_context.owner(), job_id, "mask"))


@bp.get("/data")
@bp.doc(summary="Download feature map data", operation_id="getData", responses=IMAGE_RESPONSES)
def data(job_id: str) -> AnyResponse:
    """Redirects to a NumPy NPZ file with the arrays `maps` (height, width, channels) and `channels`."""
    return _redirect(request_context.jobs().data_url(request_context.owner(), job_id))


@bp.get("/gradients")
@bp.output(GradientList)
@bp.doc(summary="List gradient images", operation_id="listGradients", responses=[404, 429, 503])
def gradients(job_id: str) -> GradientList:
    """Lists the gradient images of a job with `keep_gradients`: one per completed octave."""
    octaves = request_context.jobs().gradients(request_context.owner(), job_id)
    base = f"/v1/jobs/{job_id}/gradients"
    return GradientList(gradients=tuple(GradientView(octave=octave, url=f"{base}/{octave}") for octave in octaves))


@bp.get("/gradients/<octave>")
@bp.doc(
    summary="Download an octave's gradient",
    operation_id="getGradient",
    responses={**IMAGE_RESPONSES, 422: "The octave is not a number."},
)
def gradient(job_id: str, octave: str) -> AnyResponse:
    """Redirects to an image of the smoothed gradient in the octave's last iteration; gray is zero."""
    if not (octave.isdecimal() and len(octave) < 3):
        raise InvalidField("The octave must be a number from 0, the smallest octave, to 99.", path="octave")
    return _redirect(request_context.jobs().gradient_url(request_context.owner(), job_id, int(octave)))


@bp.get("/report")
@bp.doc(summary="Get the report", operation_id="getReport", responses=[404, 409, 410, 429, 503])
def report(job_id: str) -> Response:
    """Returns the resolved recipe, versions, timings and gradient statistics as JSON."""
    return make_conditional(
        Response(request_context.jobs().report(request_context.owner(), job_id), mimetype="application/json")
    )


@bp.get("/preview")
@bp.doc(summary="Get the preview", operation_id="getPreview", responses=[404, 409, 410, 429, 503])
def preview(job_id: str) -> Response:
    """Returns the image so far as a small JPEG."""
    return make_conditional(
        Response(request_context.jobs().preview(request_context.owner(), job_id), mimetype="image/jpeg")
    )


@bp.get("/photograph")
@bp.doc(summary="Show the photograph", operation_id="getPhotograph", responses=[404, 409, 410, 429, 503])
def photograph(job_id: str) -> Response:
    """Returns the photograph as a small JPEG, upright and in sRGB, once a worker has read it.

    Only for formats that some browsers don't show (HEIC, TIFF, JPEG XL); 409 for others, which `input` shows.
    """
    return make_conditional(
        Response(request_context.jobs().preview(request_context.owner(), job_id, "photograph"), mimetype="image/jpeg")
    )


def _redirect(address: str) -> AnyResponse:
    response = redirect(address, code=303)
    response.headers["Cache-Control"] = "no-store"
    return response
