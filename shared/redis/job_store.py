"""Keeps live state in Redis. One Lua script makes each change of a job, so that no client sees half of a change."""

import secrets
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import cast

from shared.errors import ClaimLost, JobNotFound
from shared.interfaces import UNLIMITED
from shared.jobs.job import PRIORITIES, Job, JobProgress, JobState, Outcome
from shared.redis.connection import connect
from shared.redis.job_hash import from_flat, from_hash, to_hash
from shared.redis.scripts import translated
from shared.redis.service_state import RedisServiceState
from shared.settings import Settings

TURNS_BATCH = 500  # owners whose turns one script call rebuilds


class RedisJobStore(RedisServiceState):
    """Implements JobStore on Redis 6.2 or newer. Safe to share between threads, but not across a fork."""

    @classmethod
    def connect(cls, settings: Settings) -> "RedisJobStore":
        return cls(connect(settings))

    @translated()
    def admit(self, owner: str, job_id: str, *, limit: int, ttl_s: float) -> bool:
        return bool(self._run("admit", owner, job_id, limit, int(ttl_s * 1000)))

    @translated()
    def withdraw(self, owner: str, job_id: str) -> None:
        self.redis.zrem(f"dream:admitted:{owner}", job_id)

    @translated()
    def create(self, job: Job) -> bool:
        fields: list[str | int | float] = []
        for name, value in to_hash(job).items():
            fields += [name, value]
        return bool(self._run("create", job.id, *fields))

    @translated()
    def get(self, job_id: str) -> Job | None:
        return from_hash(cast(dict[str, str], self.redis.hgetall(f"dream:job:{job_id}")))

    @translated()
    def get_many(self, job_ids: Sequence[str]) -> Mapping[str, Job]:
        return {job.id: job for job in self._load(job_ids)}

    @translated()
    def list_jobs(
        self,
        owner: str,
        *,
        states: frozenset[JobState] | None = None,
        kind: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> Sequence[Job]:
        found: list[Job] = []
        while len(found) < limit:
            page = self._ids(owner, states or frozenset(JobState), before, limit)
            jobs = self._load(page)
            found += [job for job in jobs if kind is None or job.kind == kind]
            if len(page) < limit:
                break
            before = page[-1]
        return found[:limit]

    @translated()
    def cancel(self, job_id: str, *, retry_count: int) -> Job | None:
        return from_flat(self._run("cancel", job_id, retry_count))

    @translated()
    def retry(self, job_id: str, *, retry_count: int, deadline_at: float | None = None) -> Job | None:
        return from_flat(self._run("retry", job_id, retry_count, "" if deadline_at is None else deadline_at))

    @translated()
    def rename(self, job_id: str, name: str | None) -> Job | None:
        return from_flat(self._run("rename", job_id, name or ""))

    @translated()
    def forget(self, job_id: str) -> None:
        self._run("forget", job_id)

    @translated()
    def claim(self, worker: str, models: Sequence[str], *, lease_s: float, max_running: int = UNLIMITED) -> Job | None:
        ours: tuple[str | float, ...] = (worker, secrets.token_hex(8), int(lease_s * 1000), max_running, *models)
        answer = self._run("claim", *ours)
        if answer == "rebuild_turns":
            self.rebuild_turns()
            answer = self._run("claim", *ours)
        return None if answer == "rebuild_turns" else from_flat(answer)

    @translated()
    def rebuild_turns(self) -> None:
        for priority in PRIORITIES:
            # In batches: with very many owners a single script call would block all other clients of Redis.
            owners = (owner for owner, _ in self.redis.hscan_iter(f"dream:owned:{priority}", count=TURNS_BATCH))
            while some := list(islice(owners, TURNS_BATCH)):
                self._run("rebuild_turns", priority, *some)

    @translated()
    def renew(self, job: Job, *, lease_s: float, progress: JobProgress | None = None) -> JobState:
        shown = progress.model_dump_json() if progress else ""
        fraction = progress.fraction if progress else 0
        ours = (job.id, job.claim or "", job.retry_count, job.attempt, job.worker or "")
        answer = self._run("renew", *ours, int(lease_s * 1000), fraction, shown)
        if answer == "missing":
            raise JobNotFound
        if answer == "lost":
            raise ClaimLost
        return JobState(answer)

    @translated()
    def preview_stored(self, job: Job) -> None:
        self._run("preview_stored", job.id, job.claim or "")

    @translated()
    def checkpoint_stored(self, job: Job) -> None:
        if not self._run("checkpoint_stored", job.id, job.claim or ""):
            raise ClaimLost

    @translated()
    def fix_tile_size(self, job: Job, tile_size: int) -> int:
        fixed = self._run("fix_tile_size", job.id, job.claim or "", tile_size)
        if fixed is None:
            raise ClaimLost
        return int(fixed)

    @translated()
    def release(self, job: Job, *, died: bool = False) -> Job:
        released = from_flat(self._run("release", job.id, job.claim or "", int(died)))
        if released is None:
            raise ClaimLost
        return released

    @translated()
    def finish(self, job_id: str, outcome: Outcome) -> Job | None:
        error = outcome.error.model_dump_json() if outcome.error else ""
        says = (outcome.retry_count, outcome.state, outcome.finished_at, outcome.claim or "", error)
        started_at = "" if outcome.started_at is None else outcome.started_at
        return from_flat(self._run("finish", job_id, *says, started_at, outcome.attempt))

    @translated()
    def expire(self, job_id: str, *, retry_count: int) -> Job | None:
        return from_flat(self._run("expire", job_id, retry_count))

    @translated()
    def expired_leases(self) -> Sequence[Job]:
        ids = self.redis.zrangebyscore("dream:leases", "-inf", f"({self._now() * 1000:.0f}")
        return self._load(cast(list[str], ids))

    @translated()
    def expire_lease(self, job: Job, *, max_deaths: int) -> Job | None:
        return from_flat(self._run("expire_lease", job.id, job.claim or "", max_deaths))

    @translated()
    def overdue(self) -> Sequence[Job]:
        ids = self.redis.zrangebyscore("dream:deadlines", "-inf", self._now())
        return [job for job in self._load(cast(list[str], ids)) if job.state is JobState.QUEUED]

    def _ids(self, owner: str, states: Iterable[JobState], before: str | None, limit: int) -> list[str]:
        pipe = self.redis.pipeline(transaction=False)
        for state in states:
            pipe.zrevrangebylex(f"dream:owner:{owner}:{state}", f"({before}" if before else "+", "-", 0, limit)
        return sorted({job_id for ids in pipe.execute() for job_id in ids}, reverse=True)[:limit]

    def _load(self, ids: Iterable[str]) -> list[Job]:
        pipe = self.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(f"dream:job:{job_id}")
        return [job for job in map(from_hash, pipe.execute()) if job]
