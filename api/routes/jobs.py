"""Submitting jobs and looking after them."""

from apiflask import APIBlueprint
from flask import Response, request

from api import context
from api.parsing import submission
from api.schemas import JobPage, JobView, ListQuery, encode_cursor
from shared.jobs import Job

bp = APIBlueprint("jobs", __name__, url_prefix="/v1/jobs", tag="Jobs")

RETRY_AFTER_S = {"queued": "2", "running": "1", "canceling": "1"}


@bp.post("")
@bp.output(JobView, status_code=202)
@bp.doc(summary="Submit a job", responses=[413, 415, 422, 503])
def submit() -> Response:
    """The image and its parameters are checked first; nothing is stored when they are refused."""
    form, image = submission(request)
    job = context.jobs().submit(context.owner(), form, form.params, image)
    response = _shown(job, status=202)
    response.location = f"/v1/jobs/{job.id}"
    return response


@bp.get("")
@bp.input(ListQuery, location="query", arg_name="query")
@bp.output(JobPage)
@bp.doc(summary="List jobs", responses=[422, 503])
def list_jobs(query: ListQuery) -> JobPage:
    """Newest first."""
    service = context.jobs()
    found = service.list_jobs(
        context.owner(), states=query.state, kind=query.kind, before=query.before, limit=query.limit + 1
    )
    page = found[: query.limit]
    more = len(found) > len(page)
    return JobPage(
        jobs=tuple(JobView.of(job, service.position(job)) for job in page),
        next_cursor=encode_cursor(page[-1].id) if more else None,
    )


@bp.get("/<job_id>")
@bp.output(JobView)
@bp.doc(summary="Look at a job", responses={304: "Nothing changed since that ETag.", 404: "No such job.", 503: "Away."})
def get(job_id: str) -> Response:
    """Send the answer's `ETag` back as `If-None-Match`: a poll that changed nothing is an empty 304."""
    return _shown(context.jobs().get(context.owner(), job_id))


@bp.post("/<job_id>/cancel")
@bp.output(JobView)
@bp.doc(summary="Cancel a job", responses=[404, 409, 503])
def cancel(job_id: str) -> Response:
    """A waiting job ends at once; a running one ends at its next tile and is `canceling` until then."""
    return _shown(context.jobs().cancel(context.owner(), job_id))


@bp.post("/<job_id>/retry")
@bp.output(JobView, status_code=202)
@bp.doc(summary="Try a failed job again", responses=[404, 409, 503])
def retry(job_id: str) -> Response:
    """It goes on from its last checkpoint."""
    return _shown(context.jobs().retry(context.owner(), job_id), status=202)


@bp.delete("/<job_id>")
@bp.output({}, status_code=204)
@bp.doc(summary="Delete a job", responses=[404, 503])
def delete(job_id: str) -> str:
    """The job and all its objects, for good; a running one is stopped."""
    context.jobs().delete(context.owner(), job_id)
    return ""


def _shown(job: Job, *, status: int = 200) -> Response:
    position = context.jobs().position(job)
    # The version alone starts anew after a wiped Redis; the attempt and the state tell those apart.
    etag = f"{job.version}.{job.attempt}.{job.state}.{'' if position is None else position}"
    if request.method == "GET" and request.if_none_match.contains_weak(etag):
        response = Response(status=304)
    else:
        response = Response(JobView.of(job, position).model_dump_json(), status, mimetype="application/json")
    response.set_etag(etag)
    response.headers["Cache-Control"] = "no-cache"
    if job.state in RETRY_AFTER_S:
        response.headers["Retry-After"] = RETRY_AFTER_S[job.state]
    return response
