"""The state of the whole service: workers, queue and throughput."""

from dataclasses import dataclass

from api.schemas.status_views import Limits, StatusView, Throughput, WorkerView
from shared.interfaces import JobStore, WorkerInfo
from shared.jobs.job import JobState


@dataclass(frozen=True, kw_only=True)
class StatusService:
    """Summarizes everyone's jobs; shows a worker's job only to its owner."""

    store: JobStore
    max_pixels: int
    max_bytes: int
    max_direct_bytes: int

    def status(self, owner: str) -> StatusView:
        """Returns the summary as `owner` may see it. Raises StoreUnavailable."""
        stats, workers = self.store.queue_stats(), self.store.workers()
        running = {worker.job_id: self.store.get(worker.job_id) for worker in workers if worker.job_id}
        speeds = [job.progress.pixels_per_second or 0.0 for job in running.values() if job]
        own = {job_id for job_id, job in running.items() if job and job.owner == owner}
        counts = {state: sum(n for (_, of), n in stats.jobs.items() if of is state) for state in JobState}
        return StatusView(
            workers=tuple(_worker_view(worker, own) for worker in workers),
            queued=counts[JobState.QUEUED],
            running=counts[JobState.RUNNING] + counts[JobState.CANCELING],
            oldest_queued_s=stats.oldest_queued_s,
            throughput=Throughput(pixels_per_second=sum(speeds) if speeds else None),
            limits=Limits(
                max_pixels=self.max_pixels,
                max_upload_bytes=self.max_bytes,
                max_direct_upload_bytes=self.max_direct_bytes,
            ),
        )


def _worker_view(worker: WorkerInfo, own: set[str]) -> WorkerView:
    return WorkerView(
        name=worker.name,
        device=worker.device,
        models=worker.models,
        busy=worker.job_id is not None,
        job_id=worker.job_id if worker.job_id in own else None,
    )
