"""How the whole service is doing."""

from apiflask import APIBlueprint

from api import context
from api.schemas.status import Limits, StatusView, Throughput, WorkerView
from shared.jobs import JobState

bp = APIBlueprint("status", __name__, url_prefix="/v1/status", tag="Health")


@bp.get("")
@bp.output(StatusView)
@bp.doc(summary="Workers, queue and throughput", operation_id="getStatus", responses=[429, 503])
def status() -> StatusView:
    """Of everyone's jobs together; which job a worker runs is told only where it is yours."""
    services = context.services()
    store = services.jobs.store
    census, workers = store.census(), store.workers()
    running = {worker.job_id: store.get(worker.job_id) for worker in workers if worker.job_id}
    speeds = [job.progress.pixels_per_second or 0.0 for job in running.values() if job]
    mine = {job_id for job_id, job in running.items() if job and job.owner == context.owner()}
    counts = {state: sum(n for (_, of), n in census.jobs.items() if of is state) for state in JobState}
    return StatusView(
        workers=tuple(
            WorkerView(
                name=worker.name,
                device=worker.device,
                models=worker.models,
                busy=worker.job_id is not None,
                job_id=worker.job_id if worker.job_id in mine else None,
            )
            for worker in workers
        ),
        queued=counts[JobState.QUEUED],
        running=counts[JobState.RUNNING] + counts[JobState.CANCELING],
        oldest_queued_s=census.oldest_queued_s,
        throughput=Throughput(pixels_per_second=sum(speeds) if speeds else None),
        limits=Limits(max_pixels=services.intake.max_pixels, max_upload_bytes=services.intake.max_bytes),
    )
