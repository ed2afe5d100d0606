"""Streams a job's events."""

from apiflask import APIBlueprint
from flask import Response, request

from api import request_context
from api.events import sse

bp = APIBlueprint("events", __name__, url_prefix="/v1/jobs/<job_id>", tag="Jobs")


@bp.get("/events")
@bp.doc(
    summary="Stream a job's events",
    operation_id="followJob",
    responses={  # type: ignore[arg-type] # APIFlask accepts both kinds, its annotation only one
        200: {"description": "A stream of events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        204: "The job has ended, and the client has received its last event.",
        404: "The job does not exist.",
        429: "Too many requests.",
        503: "Redis or the object storage is unavailable, or too many streams are open.",
    },
)
def events(job_id: str) -> Response:
    """Sends server-sent events: `job` with the whole job, at once and at every change; `preview` for a new preview.

    With `Last-Event-ID`, which browsers send when they reconnect, the stream first replays what the client has missed.
    It ends with the job, or after some minutes; reconnect then. Lines that begin with a colon are keepalives.
    """
    job = request_context.jobs().get(request_context.owner(), job_id)
    after = _version(request.headers.get("Last-Event-ID", ""))
    if after is not None and job.state.is_terminal and after >= job.version:
        return Response(status=204)  # makes a browser stop reconnecting
    stream = sse.stream(request_context.services(), job, after)
    return Response(
        stream, mimetype="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


def _version(event_id: str) -> int | None:
    return int(event_id) if event_id.isascii() and event_id.isdigit() and len(event_id) < 20 else None
