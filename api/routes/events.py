"""Following a job as it happens."""

from apiflask import APIBlueprint
from flask import Response, request

from api import request_context
from api.events import sse

bp = APIBlueprint("events", __name__, url_prefix="/v1/jobs/<job_id>", tag="Jobs")


@bp.get("/events")
@bp.doc(
    summary="Follow a job",
    operation_id="followJob",
    responses={  # type: ignore[arg-type] # APIFlask takes both, its annotation only one
        200: {"description": "A stream of events.", "content": {"text/event-stream": {"schema": {"type": "string"}}}},
        204: "It had ended, and its end was told before.",
        404: "No such job.",
        429: "Too many requests.",
        503: "Away, or too many streams are open.",
    },
)
def events(job_id: str) -> Response:
    """Server-Sent Events: `job` with the whole job at once and at every change, `preview` when there is a new one.

    With `Last-Event-ID`, as browsers send it by themselves, what happened since is told first. The stream ends with the
    job, or after some minutes; reconnect then. Lines that begin with a colon only keep the connection open.
    """
    job = request_context.jobs().get(request_context.owner(), job_id)
    after = _version(request.headers.get("Last-Event-ID", ""))
    if after is not None and job.state.is_terminal and after >= job.version:
        return Response(status=204)  # which tells a browser to stay away
    told = sse.stream(request_context.services(), job, after)
    return Response(
        told, mimetype="text/event-stream", headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    )


def _version(event_id: str) -> int | None:
    return int(event_id) if event_id.isascii() and event_id.isdigit() and len(event_id) < 20 else None
