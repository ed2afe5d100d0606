"""Reading jobs from Redis: polls in one round trip, job events and queue positions."""

from collections.abc import Sequence
from importlib import resources
from typing import Any, cast

import redis

from shared.errors import TooManyRequests
from shared.jobs.job import Job, JobProgress, JobState
from shared.jobs.job_events import JobEvent, PollResult
from shared.rate_limit import RateLimit, RateLimitUsage
from shared.redis.job_hash import from_flat
from shared.redis.scripts import translated

MAX_EVENTS = 256


class RedisJobQueries:
    """JobQueries on Redis."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._poll = client.register_script((resources.files("shared.redis") / "lua" / "poll.lua").read_text())

    @translated()
    def poll(
        self,
        job_id: str,
        owner: str,
        *,
        cursor: tuple[int, int | None] | None = None,
        rate_limit: RateLimit | None = None,
    ) -> PollResult:
        version, position = cursor or ("", None)
        limit: tuple[str, int, int] = ("", 0, 0)
        if rate_limit:
            limit = (
                f"dream:limit:{rate_limit.name}:{rate_limit.client}",
                rate_limit.requests,
                rate_limit.window_s * 1000,
            )
        seen_position = "" if position is None else position
        answer = cast(list[Any], self._poll(args=[job_id, owner, version, seen_position, *limit]))
        return _poll_result(answer, rate_limit)

    @translated()
    def events_after(self, job_id: str, *, after: int) -> Sequence[JobEvent]:
        entries = cast(
            list[tuple[str, dict[str, str]]],
            self._redis.xrange(f"dream:events:{job_id}", f"({after}-0", "+", count=MAX_EVENTS),
        )
        return [_change(entry_id, fields) for entry_id, fields in entries]

    @translated()
    def positions(self, jobs: Sequence[Job]) -> dict[str, int]:
        waiting = [job for job in jobs if job.state is JobState.QUEUED]
        if not waiting:
            return {}
        pipe = self._redis.pipeline(transaction=False)
        for priority in ("high", "normal"):
            pipe.zcard(f"dream:waiting:{priority}")
        for job in waiting:
            pipe.zlexcount(f"dream:waiting:{job.priority}", "-", f"({job.id}")  # type: ignore[no-untyped-call]
        high, normal, *before = cast(list[int], pipe.execute())
        above = {"high": 0, "normal": high, "low": high + normal}
        return {job.id: above[job.priority] + count for job, count in zip(waiting, before, strict=True)}

    @translated()
    def queued(self, owner: str) -> int:
        pipe = self._redis.pipeline(transaction=False)
        for priority in ("high", "normal", "low"):
            pipe.hget(f"dream:owned:{priority}", owner)
        return sum(int(count or 0) for count in pipe.execute())


def _poll_result(answer: list[Any], rate_limit: RateLimit | None) -> PollResult:
    count, left_ms, status, *rest = answer
    usage = None
    if rate_limit:
        left = max(0, rate_limit.requests - count)
        usage = RateLimitUsage(rate_limit=rate_limit, remaining=left, resets_s=left_ms / 1000)
    if status == "over_limit" and usage:
        raise TooManyRequests(usage=usage)
    if status in {"unknown", "foreign"}:
        return PollResult(job=None, known=status != "unknown", foreign=status == "foreign", usage=usage)
    if status == "unchanged":
        return PollResult(job=None, usage=usage)
    position, flat = rest
    return PollResult(job=from_flat(flat), position=int(position) if position else None, usage=usage)


def _change(entry_id: str, fields: dict[str, str]) -> JobEvent:
    return JobEvent(
        version=int(entry_id.split("-", 1)[0]),
        state=JobState(fields["state"]),
        progress=JobProgress.model_validate_json(fields["progress"]),
        preview="preview" in fields,
    )
