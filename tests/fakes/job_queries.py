"""Implements the JobQueries and JobSubscriptions interfaces in memory."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from shared.errors import TooManyRequests
from shared.jobs.job import Job, JobState
from shared.jobs.job_events import JobEvent, PollResult
from shared.rate_limit import RateLimit, RateLimitUsage
from tests.fakes.clock import FakeClock
from tests.fakes.job_store import MemoryJobStore


class RecordingJobStore(MemoryJobStore):
    """Records every change of every job."""

    def wipe(self) -> None:
        super().wipe()
        self.entries: dict[str, list[JobEvent]] = {}

    def create(self, job: Job) -> bool:
        created = super().create(job)
        if created:
            self.note(self.jobs[job.id])
        return created

    def note(self, job: Job, *, preview: bool = False) -> None:
        change = JobEvent(version=job.version, state=job.state, progress=job.progress, preview=preview)
        self.entries.setdefault(job.id, []).append(change)

    def _change(self, job: Job, **fields) -> None:
        super()._change(job, **fields)
        self.note(self.jobs[job.id])


class MemoryJobQueries:
    def __init__(self, store: RecordingJobStore, clock: FakeClock) -> None:
        self.store = store
        self.clock = clock
        self.windows: dict[str, tuple[int, float]] = {}

    def poll(self, job_id, owner, *, cursor=None, rate_limit=None) -> PollResult:
        job = self.store.get(job_id)
        usage = self._use(rate_limit) if rate_limit else None
        if job is None or job.owner != owner:
            return PollResult(job=None, known=job is not None, foreign=job is not None, usage=usage)
        position = self.store.position(job_id)
        return PollResult(job=None if cursor == (job.version, position) else job, position=position, usage=usage)

    def events_after(self, job_id: str, *, after: int) -> Sequence[JobEvent]:
        self.store.get(job_id)  # raises when unavailable
        return [change for change in self.store.entries.get(job_id, []) if change.version > after]

    def positions(self, jobs: Sequence[Job]) -> dict[str, int]:
        found = {job.id: self.store.position(job.id) for job in jobs if job.state is JobState.QUEUED}
        return {job_id: position for job_id, position in found.items() if position is not None}

    def queued(self, owner: str) -> int:
        self.store.get("")  # raises when unavailable
        return sum(job.owner == owner and job.state is JobState.QUEUED for job in self.store.jobs.values())

    def _use(self, rate_limit: RateLimit) -> RateLimitUsage:
        count, ends_at = self.windows.get(rate_limit.client, (0, 0.0))
        if self.clock.now() >= ends_at:
            count, ends_at = 0, self.clock.now() + rate_limit.window_s
        self.windows[rate_limit.client] = (count + 1, ends_at)
        left = rate_limit.requests - count - 1
        usage = RateLimitUsage(rate_limit=rate_limit, remaining=max(0, left), resets_s=ends_at - self.clock.now())
        if left < 0:
            raise TooManyRequests(usage=usage)
        return usage


class Script:
    """Implements JobSubscriptions: runs the next step of a script at every wait; without one, advances the clock."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.steps: list[Callable[[], object]] = []
        self.watching = 0
        self.closed = False

    def close(self) -> None:
        self.closed = True

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator["Script"]:
        self.watching += 1
        try:
            yield self
        finally:
            self.watching -= 1

    def wait(self, timeout_s: float) -> bool:
        if not self.steps:
            self.clock.sleep(timeout_s)
            return False
        self.steps.pop(0)()
        return True
