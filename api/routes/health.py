"""For load balancers and orchestrators."""

from apiflask import APIBlueprint

from api import request_context
from api.schemas.status_views import Alive, Readiness

bp = APIBlueprint("health", __name__, tag="Health")


@bp.get("/healthz")
@bp.output(Alive)
@bp.doc(summary="Is this process alive?", operation_id="getHealth")
def healthz() -> Alive:
    """Asks nobody else, so that an outage of Redis or S3 restarts nothing."""
    return Alive()


@bp.get("/readyz")
@bp.output(Readiness)
@bp.doc(
    summary="Would a job run now?",
    operation_id="getReadiness",
    responses={503: "Redis, the object storage or every worker is away."},
)
def readyz() -> Readiness | tuple[Readiness, int]:
    """Redis and the object storage answer, and a worker is alive."""
    found = request_context.jobs().readiness()
    return found if found.ready else (found, 503)
