"""Submits, lists, polls, cancels, retries and deletes jobs."""

from typing import cast

from apiflask import APIBlueprint
from flask import Response, g, request

from api import request_context
from api.events import wait
from api.jobs.job_service import NewDeadline
from api.jobs.poll_cursor import PollCursor
from api.jobs.request_parsing import body, idempotency_key, preferred_wait_s, submission
from api.schemas.job_view import JobPage, JobView
from api.schemas.requests import JobPatch, ListQuery, RetryRequest, encode_cursor
from shared.jobs.job import Job, JobState

bp = APIBlueprint("jobs", __name__, url_prefix="/v1/jobs", tag="Jobs")

RETRY_AFTER_S = {"queued": "2", "running": "1", "canceling": "1"}


@bp.post("")
@bp.output(JobView, status_code=202)
@bp.doc(summary="Submit a job", operation_id="submitJob", responses=[408, 409, 413, 415, 422, 429, 503])
def submit() -> Response:
    """Checks the images and the parameters, then accepts the job. A refused request stores nothing.

    With an `Idempotency-Key` the request can be repeated safely for seven days. `Prefer: wait=N` waits up to N seconds
    for the job to end.
    """
    submitted, key, wait_s = submission(request), idempotency_key(request), preferred_wait_s(request)
    accepted = request_context.services().submissions.submit(request_context.owner(), submitted, key=key)
    job = wait.until_terminal(accepted.job, wait_s) if wait_s else accepted.job
    response = _job_response(job, request_context.jobs().position(job), status=200 if job.state.is_terminal else 202)
    response.location = f"/v1/jobs/{job.id}"
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    if key is not None:
        response.headers["Idempotency-Replayed"] = "true" if accepted.replayed else "false"
    return response


@bp.get("")
@bp.input(ListQuery, location="query", arg_name="query")
@bp.output(JobPage)
@bp.doc(summary="List jobs", operation_id="listJobs", responses=[422, 429, 503])
def list_jobs(query: ListQuery) -> JobPage:
    """Lists your jobs, newest first."""
    service = request_context.jobs()
    jobs = service.list_jobs(
        request_context.owner(), states=query.state, kind=query.kind, before=query.before, limit=query.limit + 1
    )
    page = jobs[: query.limit]
    positions = service.positions(page)
    fleet = service.fleet() if positions else None
    return JobPage(
        jobs=tuple(JobView.of(job, positions.get(job.id), fleet) for job in page),
        next_cursor=encode_cursor(page[-1].id) if len(jobs) > len(page) else None,
    )


@bp.get("/<job_id>")
@bp.output(JobView)
@bp.doc(
    summary="Get a job",
    operation_id="getJob",
    responses={
        304: "Not modified since that ETag.",
        404: "The job does not exist.",
        429: "Too many requests.",
        503: "Redis or the object storage is unavailable.",
    },
)
def get(job_id: str) -> Response:
    """Returns the job, or an empty 304 if it has not changed since the `ETag` that was sent as `If-None-Match`.

    `Prefer: wait=N` waits up to N seconds for the job to end.
    """
    wait_s, cursor = preferred_wait_s(request), PollCursor.from_request(request)
    result = request_context.jobs().poll(
        request_context.owner(),
        job_id,
        cursor=None if wait_s else _valid_cursor(cursor),
        rate_limit=request_context.poll_rate_limit(),
    )
    g.usage = result.usage
    job, position = result.job, result.position
    if job is None:  # unchanged since the cursor
        return _not_modified(cast(PollCursor, cursor).etag())
    if wait_s and not job.state.is_terminal:
        job = wait.until_terminal(job, wait_s)
        position = request_context.jobs().position(job)
    response = _job_response(job, position)
    if wait_s:
        response.headers["Preference-Applied"] = f"wait={wait_s}"
    return response


@bp.patch("/<job_id>")
@bp.output(JobView)
@bp.doc(summary="Rename a job", operation_id="renameJob", responses=[404, 408, 413, 415, 422, 429, 503])
def rename(job_id: str) -> Response:
    """Changes the name of the job, after which its downloads are named. Nothing else of it can be changed."""
    patch = body(request, JobPatch)
    job = request_context.jobs().rename(request_context.owner(), job_id, patch.name)
    return _job_response(job, request_context.jobs().position(job))


@bp.post("/<job_id>/cancel")
@bp.output(JobView)
@bp.doc(summary="Cancel a job", operation_id="cancelJob", responses=[404, 409, 429, 503])
def cancel(job_id: str) -> Response:
    """Cancels a waiting job at once. A running one is `canceling` until its next tile is done."""
    return _job_response(request_context.jobs().cancel(request_context.owner(), job_id), None)


@bp.post("/<job_id>/retry")
@bp.output(JobView, status_code=202)
@bp.doc(summary="Retry a failed or canceled job", operation_id="retryJob", responses=[404, 409, 415, 422, 429, 503])
def retry(job_id: str) -> Response:
    """Queues a failed or canceled job again; it resumes from its last checkpoint.

    The checkpoints of a canceled job are kept for a day; after that it starts from the beginning. The job keeps its
    deadline unless the body has another `deadline_s`. A job whose deadline has passed needs one.
    """
    sent = body(request, RetryRequest, optional=True)
    deadline = NewDeadline(sent.deadline_s) if "deadline_s" in sent.model_fields_set else None
    job = request_context.jobs().retry(request_context.owner(), job_id, deadline=deadline)
    return _job_response(job, request_context.jobs().position(job), status=202)


@bp.delete("/<job_id>")
@bp.output({}, status_code=204)
@bp.doc(summary="Delete a job", operation_id="deleteJob", responses=[404, 429, 503])
def delete(job_id: str) -> str:
    """Deletes the job and all its objects for good. A running job is stopped."""
    request_context.jobs().delete(request_context.owner(), job_id)
    return ""


def _valid_cursor(cursor: PollCursor | None) -> tuple[int, int | None] | None:
    """Returns the client's position, or None if the job waits and the set of live workers has changed since."""
    if cursor is None or (cursor.position is not None and cursor.fleet != request_context.jobs().fleet_tag()):
        return None
    return cursor.version, cursor.position


def _job_response(job: Job, position: int | None, *, status: int = 200) -> Response:
    tag = PollCursor(job.version, position, "" if position is None else request_context.jobs().fleet_tag()).etag()
    if request.method in {"GET", "HEAD"} and request.if_none_match.contains_weak(tag.strip('"')):
        return _not_modified(tag)
    fleet = request_context.jobs().fleet() if job.state is JobState.QUEUED else None
    response = Response(JobView.of(job, position, fleet).model_dump_json(), status, mimetype="application/json")
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "no-cache"
    if job.state in RETRY_AFTER_S:
        response.headers["Retry-After"] = RETRY_AFTER_S[job.state]
    return response


def _not_modified(tag: str) -> Response:
    response = Response(status=304)
    response.headers["ETag"] = tag
    response.headers["Cache-Control"] = "no-cache"
    return response
