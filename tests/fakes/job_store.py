"""Implements the JobStore interface in memory; also the model against which the Lua scripts are tested.

Loops go over copies, because other threads may change the store meanwhile.
"""

import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

from shared.errors import ClaimLost, JobNotFound, StoreRefusing, StoreUnavailable
from shared.interfaces import UNLIMITED, WorkerInfo
from shared.jobs.job import PRIORITIES, TRANSITIONS, Job, JobProgress, JobState, Outcome
from shared.jobs.queue_stats import QueueStats
from tests.fakes.clock import FakeClock


class MemoryJobStore:
    def __init__(self, clock: FakeClock | None = None) -> None:
        self.clock = clock or FakeClock()
        self.available = True  # False: every call raises, as if Redis were unavailable
        self.refusal: str | None = None  # what Redis says to writes
        self.restarts = 0
        self.turn_rebuilds = 0
        self.wipe()

    def wipe(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.leases: dict[str, float] = {}
        self.turns: dict[tuple[str, str], int] = {}  # (priority, owner) -> turn when last served or joined
        self.turn = 0
        self.live: dict[str, tuple[WorkerInfo, float]] = {}
        self.unacknowledged: set[str] = set()  # claims
        self.admitted: dict[tuple[str, str], float] = {}  # (owner, job id) -> expiry, Unix time, seconds
        self.complete_since: str | None = None
        self.rebuild: str | None = None
        self.forgotten: set[str] = set()
        self.fetch_requests: dict[str, tuple[str, float]] = {}  # model -> id, expiry
        self.leader: tuple[str, float] | None = None
        self.history: list[tuple[str, JobState, JobState]] = []

    def admit(self, owner: str, job_id: str, *, limit: int, ttl_s: float) -> bool:
        self._reach()
        now = self.clock.now()
        self.admitted = {place: until for place, until in list(self.admitted.items()) if until > now}
        waiting = sum(job.owner == owner and job.state is JobState.QUEUED for job in list(self.jobs.values()))
        if (owner, job_id) not in self.admitted and waiting + sum(o == owner for o, _ in self.admitted) >= limit:
            return False
        self.admitted[owner, job_id] = now + ttl_s
        return True

    def withdraw(self, owner: str, job_id: str) -> None:
        self._reach()
        self.admitted.pop((owner, job_id), None)

    def create(self, job: Job) -> bool:
        self._reach()
        self.admitted.pop((job.owner, job.id), None)
        if job.id in self.jobs or job.id in self.forgotten:
            return False
        self.jobs[job.id] = replace(job, version=1)
        self._joined(job)
        return True

    def get(self, job_id: str) -> Job | None:
        self._reach()
        return self.jobs.get(job_id)

    def get_many(self, job_ids: Sequence[str]) -> Mapping[str, Job]:
        self._reach()
        return {job_id: self.jobs[job_id] for job_id in job_ids if job_id in self.jobs}

    def list_jobs(self, owner, *, states=None, kind=None, before=None, limit=50) -> Sequence[Job]:
        self._reach()
        found = [
            job
            for job in list(self.jobs.values())
            if job.owner == owner
            and (states is None or job.state in states)
            and (kind is None or job.kind == kind)
            and (before is None or job.id < before)
        ]
        return sorted(found, key=lambda job: job.id, reverse=True)[:limit]

    def position(self, job_id: str) -> int | None:
        self._reach()
        job = self.jobs.get(job_id)
        if job is None or job.state is not JobState.QUEUED:
            return None
        rank = PRIORITIES.index(job.priority)
        return sum(
            other.state is JobState.QUEUED
            and (PRIORITIES.index(other.priority) < rank or (other.priority == job.priority and other.id < job.id))
            for other in list(self.jobs.values())
        )

    def cancel(self, job_id: str, *, retry_count: int) -> Job | None:
        self._reach()
        job = self.jobs.get(job_id)
        if job is not None and job.state is JobState.RUNNING and job.retry_count == retry_count:
            self._change(job, state=JobState.CANCELING)
        return self.jobs.get(job_id)

    def retry(self, job_id: str, *, retry_count: int, deadline_at: float | None = None) -> Job | None:
        self._reach()
        job = self.jobs.get(job_id)
        retryable = job is not None and job.state in {JobState.FAILED, JobState.CANCELED}
        if retryable and job.retry_count < retry_count:
            self._retry(replace(job, deadline_at=deadline_at), retry_count)
        return self.jobs.get(job_id)

    def rename(self, job_id: str, name: str | None) -> Job | None:
        self._reach()
        job = self.jobs.get(job_id)
        if job is not None and job.name != name:
            self._change(job, name=name)
        return self.jobs.get(job_id)

    def forget(self, job_id: str) -> None:
        self._reach()
        self.forgotten.add(job_id)
        self.jobs.pop(job_id, None)
        self.leases.pop(job_id, None)

    def claim(
        self,
        worker: str,
        models: Sequence[str],
        *,
        lease_s: float,
        max_running: int = UNLIMITED,
        claim: str | None = None,
    ) -> Job | None:
        self._reach()
        queued = [job for job in list(self.jobs.values()) if job.state is JobState.QUEUED]
        waiting = [job for job in queued if job.params.model in models]
        if not waiting:
            return None
        running = Counter(job.owner for job in list(self.jobs.values()) if job.state is JobState.RUNNING)
        chosen = min(
            [job for job in waiting if running[job.owner] < max_running] or waiting,
            key=lambda job: (PRIORITIES.index(job.priority), self.turns[job.priority, job.owner], job.id),
        )
        self.turn += 1
        self.turns[chosen.priority, chosen.owner] = self.turn
        claimed = self._run(chosen, worker, claim or secrets.token_hex(8), chosen.attempt + 1, lease_s)
        self.unacknowledged.add(claimed.claim or "")
        return claimed

    def rebuild_turns(self) -> None:
        self._reach()
        self.turn_rebuilds += 1

    def renew(self, job: Job, *, lease_s: float, progress: JobProgress | None = None) -> JobState:
        self._reach()
        known = self.jobs.get(job.id)
        if known is None:
            raise JobNotFound
        if known.state is JobState.QUEUED and known.retry_count == job.retry_count and known.attempt < job.attempt:
            known = self._run(known, job.worker or "", job.claim or "", job.attempt, lease_s)
        if not known.state.is_claimed or known.claim != job.claim:
            raise ClaimLost
        self.leases[job.id] = self.clock.now() + lease_s
        self.unacknowledged.discard(job.claim or "")
        if progress is not None and progress.fraction >= known.progress.fraction:
            self._change(known, progress=progress)
        return known.state

    def preview_stored(self, job: Job) -> None:
        self._reach()
        known = self.jobs.get(job.id)
        if known is not None and known.state.is_claimed and known.claim == job.claim:
            self._change(known)

    def checkpoint_stored(self, job: Job) -> None:
        self._change(self._mine(job), deaths=0)

    def fix_tile_size(self, job: Job, tile_size: int) -> int:
        known = self._mine(job)
        if known.params.tile_size is None:
            self._change(known, params=known.params.model_copy(update={"tile_size": tile_size}))
        return self.jobs[job.id].params.tile_size or 0

    def release(self, job: Job, *, died: bool = False) -> Job:
        known = self._mine(job)
        if known.state is JobState.RUNNING:
            self._change(known, state=JobState.QUEUED, claim=None, worker=None, deaths=known.deaths + died)
        return self.jobs[job.id]

    def finish(self, job_id: str, outcome: Outcome) -> Job | None:
        self._reach()
        job = self.jobs.get(job_id)
        if job is not None and job.retry_count < outcome.retry_count:  # rolled back to a time before a retry
            if job.state not in {JobState.FAILED, JobState.CANCELED}:
                self._change(job, state=JobState.FAILED, worker=None)
            self._retry(self.jobs[job_id], outcome.retry_count)
            job = self.jobs[job_id]
        if job is None or job.retry_count != outcome.retry_count or job.state.is_terminal:
            return job
        progress = job.progress
        if outcome.state is JobState.SUCCEEDED:
            none_left = dict.fromkeys(("eta_seconds", "eta_low_seconds", "eta_high_seconds"), 0.0)
            progress = progress.model_copy(update={"fraction": 1.0, "iteration": progress.iterations, **none_left})
        self._change(
            job, state=outcome.state, finished_at=outcome.finished_at, claim=outcome.claim, error=outcome.error,
            worker=None, progress=progress, started_at=outcome.started_at, attempt=max(job.attempt, outcome.attempt),
        )  # fmt: skip
        return self.jobs[job_id]

    def expire(self, job_id: str, *, retry_count: int) -> Job | None:
        self._reach()
        job = self.jobs.get(job_id)
        if (
            job is not None
            and job.retry_count == retry_count
            and job.state.is_terminal
            and job.state is not JobState.EXPIRED
        ):
            self._change(job, state=JobState.EXPIRED)
        return self.jobs.get(job_id)

    def expired_leases(self) -> Sequence[Job]:
        self._reach()
        return [self.jobs[job_id] for job_id, until in list(self.leases.items()) if until < self.clock.now()]

    def expire_lease(self, job: Job, *, max_deaths: int) -> Job | None:
        self._reach()
        known = self.jobs.get(job.id)
        if known is None or not known.state.is_claimed or known.claim != job.claim:
            return None
        if self.leases[job.id] > self.clock.now():
            return None
        lost = known.claim in self.unacknowledged
        deaths = known.deaths + (not lost)
        if known.state is JobState.RUNNING and (lost or deaths < max_deaths):
            self._change(known, state=JobState.QUEUED, deaths=deaths, claim=None, worker=None)
        else:
            self.jobs[job.id] = replace(known, deaths=deaths)
        return self.jobs[job.id]

    def overdue(self) -> Sequence[Job]:
        self._reach()
        return [
            job
            for job in list(self.jobs.values())
            if job.state is JobState.QUEUED and job.deadline_at is not None and job.deadline_at <= self.clock.now()
        ]

    def waiting(self) -> Mapping[str, int]:
        self._reach()
        return Counter(job.params.model for job in list(self.jobs.values()) if job.state is JobState.QUEUED)

    def register_worker(self, worker: WorkerInfo, *, ttl_s: float) -> None:
        self._reach()
        self.live[worker.name] = (replace(worker, seen_at=self.clock.now()), self.clock.now() + ttl_s)

    def workers(self) -> Sequence[WorkerInfo]:
        self._reach()
        return [worker for worker, until in list(self.live.values()) if until >= self.clock.now()]

    def request_fetch(self, model: str, *, ttl_s: float) -> None:
        self._reach()
        self.fetch_requests[model] = (secrets.token_hex(8), self.clock.now() + ttl_s)

    def requested_fetches(self, models: Sequence[str]) -> Mapping[str, str]:
        self._reach()
        live = {
            model: request for model, (request, until) in list(self.fetch_requests.items()) if until > self.clock.now()
        }
        return {model: live[model] for model in models if model in live}

    def queue_stats(self) -> QueueStats:
        self._reach()
        queued = [job for job in list(self.jobs.values()) if job.state is JobState.QUEUED]
        workers = self.workers()
        return QueueStats(
            jobs=Counter((job.kind, job.state) for job in list(self.jobs.values())),
            waiting=self.waiting(),
            oldest_queued_s=self.clock.now() - min(queued, key=lambda job: job.id).created_at if queued else 0.0,
            workers=len(workers),
            busy_workers=sum(worker.job_id is not None for worker in workers),
            served=frozenset(model for worker in workers for model in worker.models),
        )

    def generation(self) -> str | None:
        self._reach()
        return self.complete_since and f"{self.complete_since}-{self.restarts}"

    def begin_rebuild(self) -> str:
        self._reach()
        self.rebuild = self.rebuild or secrets.token_hex(8)
        return f"{self.rebuild}-{self.restarts}"

    def end_rebuild(self, token: str) -> str | None:
        self._reach()
        if token != f"{self.rebuild}-{self.restarts}":
            return None
        self.rebuild = None
        self.complete_since = self.complete_since or secrets.token_hex(8)
        return self.generation()

    def probe(self) -> None:
        self._reach()

    def check_writes(self) -> None:
        self._reach()
        if self.refusal:
            raise StoreRefusing(self.refusal)

    def lead(self, name: str, *, ttl_s: float) -> bool:
        self._reach()
        if self.leader and self.leader[0] != name and self.leader[1] > self.clock.now():
            return False
        self.leader = (name, self.clock.now() + ttl_s)
        return True

    def check(self) -> None:
        self._reach()

    def _reach(self) -> None:
        if not self.available:
            raise StoreUnavailable

    def _mine(self, job: Job) -> Job:
        self._reach()
        known = self.jobs.get(job.id)
        if known is None or not known.state.is_claimed or known.claim != job.claim:
            raise ClaimLost
        return known

    def _retry(self, job: Job, retry_count: int) -> None:
        self._change(
            job, state=JobState.QUEUED, retry_count=retry_count, deaths=0, claim=None, error=None,
            finished_at=None, started_at=None,
        )  # fmt: skip

    def _run(self, job: Job, worker: str, claim: str, attempt: int, lease_s: float) -> Job:
        started_at = job.started_at if job.started_at is not None else self.clock.now()
        self._change(job, state=JobState.RUNNING, worker=worker, claim=claim, attempt=attempt, started_at=started_at)
        self.leases[job.id] = self.clock.now() + lease_s
        return self.jobs[job.id]

    def _change(self, job: Job, **fields) -> None:
        changed = replace(job, version=job.version + 1, **fields)
        if changed.state is not job.state:
            if (job.state, changed.state) not in TRANSITIONS:
                raise ValueError(f"Invalid transition: {job.state} -> {changed.state}.")
            self.history.append((job.id, job.state, changed.state))
        self.jobs[job.id] = changed
        if not changed.state.is_claimed:
            self.leases.pop(job.id, None)
        if changed.state is JobState.QUEUED and job.state is not JobState.QUEUED:
            self._joined(changed)

    def _joined(self, job: Job) -> None:
        key = (job.priority, job.owner)
        alone = not any(
            other.id != job.id and other.state is JobState.QUEUED and (other.priority, other.owner) == key
            for other in list(self.jobs.values())
        )
        if job.state is JobState.QUEUED:
            self.turn += 1
            if alone:
                self.turns[key] = self.turn
