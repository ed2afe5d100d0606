"""Health checks for load balancers and orchestrators."""

from apiflask import APIBlueprint

from api import request_context
from api.schemas.status_views import Alive, Readiness

bp = APIBlueprint("health", __name__, tag="Health")


@bp.get("/healthz")
@bp.output(Alive)
@bp.doc(summary="Liveness check", operation_id="getHealth")
def healthz() -> Alive:
    """Checks this process alone, so that an outage of Redis or S3 does not make an orchestrator restart it."""
    return Alive()


@bp.get("/readyz")
@bp.output(Readiness)
@bp.doc(
    summary="Readiness check",
    operation_id="getReadiness",
    responses={503: "Redis, the object storage or every worker is unavailable."},
)
def readyz() -> Readiness | tuple[Readiness, int]:
    """Checks that a job submitted now would run: Redis and the object storage respond, and a worker is alive."""
    readiness = request_context.jobs().readiness()
    return readiness if readiness.ready else (readiness, 503)
