"""Reports the state of the whole service."""

from apiflask import APIBlueprint

from api import request_context
from api.schemas.status_views import StatusView

bp = APIBlueprint("status", __name__, url_prefix="/v1/status", tag="Health")


@bp.get("")
@bp.output(StatusView)
@bp.doc(summary="Workers, queue and throughput", operation_id="getStatus", responses=[429, 503])
def status() -> StatusView:
    """Summarizes the jobs of all owners. A worker's job id is shown only if the job is yours."""
    return request_context.services().status.status(request_context.owner())
