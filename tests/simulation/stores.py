"""Extends the in-memory fakes of Redis and S3 for the simulator: data loss, pages, callbacks on changes."""

from collections.abc import Callable

from shared.jobs.job import Job
from tests.fakes.job_queries import RecordingJobStore
from tests.fakes.object_storage import MemoryObjectStorage

KEPT_COPIES = 20


class SimRedis(RecordingJobStore):
    """Keeps copies of its state, so that it can be rolled back to one of them."""

    def __init__(self, clock) -> None:
        self.copies: list[dict[str, object]] = []
        self.wake_ups = 0
        self.wipes = 0
        self.lost_at = 0.0  # virtual time of the last loss of data
        self.notified: Callable[[], None] = lambda: None
        self.changed: Callable[[Job, Job], None] = lambda before, after: None
        self.claim_arrived: Callable[[Job], None] = lambda job: None
        self.checkpoint_known: Callable[[Job], None] = lambda job: None
        self.death_counted: Callable[[Job], None] = lambda job: None
        super().__init__(clock)

    def wipe(self) -> None:
        super().wipe()
        self.wake_ups = 0

    def claim_as(self, claim: str, worker: str, models, *, lease_s: float, max_running: int) -> Job | None:
        """Claims a job with an id that the caller chose. Idempotent, like the script: a repeat gives the same job."""
        self._reach()
        for job in self.jobs.values():
            if job.claim == claim and job.state.is_claimed:
                return job
        return self.claim(worker, models, lease_s=lease_s, max_running=max_running, claim=claim)

    def expire_lease(self, job: Job, *, max_deaths: int) -> Job | None:
        before = self.jobs.get(job.id)
        expired = super().expire_lease(job, max_deaths=max_deaths)
        if before and expired and expired.deaths > before.deaths:
            self.death_counted(before)
        return expired

    def checkpoint_stored(self, job: Job) -> None:
        super().checkpoint_stored(job)
        self.checkpoint_known(job)

    def remember(self) -> None:
        state = {name: _copy(value) for name, value in self.__dict__.items() if name in LOSABLE}
        self.copies = [*self.copies, state][-KEPT_COPIES:]

    def roll_back(self, to: int) -> None:
        for name, value in self.copies[to].items():
            setattr(self, name, _copy(value))
        self.restarts += 1

    def _change(self, job: Job, **fields) -> None:
        super()._change(job, **fields)
        self.changed(job, self.jobs[job.id])


LOSABLE = {
    "forgotten",
    "jobs",
    "leases",
    "turns",
    "turn",
    "live",
    "complete_since",
    "rebuild",
    "admitted",
    "unacknowledged",
    "leader",
    "entries",
    "wake_ups",
}


def _copy(value):
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    if isinstance(value, set):
        return set(value)
    return list(value) if isinstance(value, list) else value


class SimS3(MemoryObjectStorage):
    """Reports every object that is written or removed."""

    def __init__(self, clock) -> None:
        super().__init__(clock)
        self.wrote: Callable[[str, bytes, bytes | None], None] = lambda key, before, after: None
        self.removed: Callable[[str], None] = lambda key: None

    def put(self, key, body, *, content_type="", if_absent=False) -> bool:
        before = self.objects.get(key)
        written = super().put(key, body, content_type=content_type, if_absent=if_absent)
        if written:
            self.wrote(key, before, self.objects[key])
        return written

    def delete(self, keys) -> None:
        for key in keys:
            if key in self.objects:
                self.removed(key)
            super().delete([key])

    def page(self, prefix: str, after: str, count: int) -> list[str]:
        return sorted(key for key in self.objects if key.startswith(prefix) and key > after)[:count]
