"""Reports on Redis and the workers: live workers, queue counts, the generation of the data set."""

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from functools import lru_cache
from typing import cast

import structlog
from pydantic import TypeAdapter

from shared.errors import StoreUnavailable, UnfitService
from shared.interfaces import WorkerInfo
from shared.jobs.job import JobState
from shared.jobs.queue_stats import QueueStats
from shared.redis.job_hash import number
from shared.redis.requirements import WRITE_CHECK, WRITE_CHECK_MS, unmet
from shared.redis.scripts import RedisScripts, translated

log = structlog.get_logger(__name__)

_WORKERS = TypeAdapter(WorkerInfo)
PROBE_BYTES = 64 << 10  # the largest response to a claim: parameters of 16 layers with 4,096 channels each


class RedisServiceState(RedisScripts):
    """Implements the part of RedisJobStore that concerns workers, counts and the data set."""

    @translated()
    def register_worker(self, worker: WorkerInfo, *, ttl_s: float) -> None:
        description = asdict(worker) | {"ttl_s": ttl_s}
        self._run("register_worker", worker.name, int(ttl_s * 1000), json.dumps(description))

    @translated()
    def workers(self) -> Sequence[WorkerInfo]:
        live = cast(
            list[tuple[str, float]],
            self.redis.zrangebyscore("dream:workers", self._now() * 1000, "+inf", withscores=True),
        )
        described = cast(list[str | None], self.redis.hmget("dream:worker", [name for name, _ in live]) if live else [])
        found = [_worker(name, until_ms, text) for (name, until_ms), text in zip(live, described, strict=True) if text]
        return [worker for worker in found if worker is not None]

    @translated()
    def request_fetch(self, model: str, *, ttl_s: float) -> None:
        self.redis.set(f"dream:fetch:{model}", secrets.token_hex(8), px=int(ttl_s * 1000))

    @translated()
    def requested_fetches(self, models: Sequence[str]) -> Mapping[str, str]:
        pipe = self.redis.pipeline(transaction=False)
        for model in models:
            pipe.get(f"dream:fetch:{model}")
        ids = cast(list[str | None], pipe.execute())
        return {model: request for model, request in zip(models, ids, strict=True) if request}

    @translated()
    def queue_stats(self) -> QueueStats:
        pipe = self.redis.pipeline(transaction=False)
        pipe.hgetall("dream:counts")
        pipe.hgetall("dream:models")
        pipe.zrange("dream:state:queued", 0, 0)
        counts, models, oldest = cast(tuple[dict[str, str], dict[str, str], list[str]], tuple(pipe.execute()))
        submitted_at = (
            number(cast(str | None, self.redis.hget(f"dream:job:{oldest[0]}", "created_at"))) if oldest else None
        )
        workers = self.workers()
        jobs = {}
        for name, count in counts.items():
            kind, state = name.rsplit(":", 1)
            jobs[kind, JobState(state)] = int(count)
        return QueueStats(
            jobs=jobs,
            waiting={model: int(count) for model, count in models.items()},
            oldest_queued_s=max(0.0, self._now() - submitted_at) if submitted_at is not None else 0.0,
            workers=len(workers),
            busy_workers=sum(worker.job_id is not None for worker in workers),
            served=frozenset(model for worker in workers for model in worker.models),
        )

    @translated()
    def length(self, queue: str) -> int:
        """Counts the messages in a broker's queue that no consumer has received."""
        return cast(int, self.redis.llen(queue))

    @translated()
    def waiting(self) -> Mapping[str, int]:
        counts = cast(dict[str, str], self.redis.hgetall("dream:models"))
        return {model: int(count) for model, count in counts.items()}

    @translated()
    def generation(self) -> str | None:
        generation = cast(str | None, self.redis.get("dream:generation"))
        return None if generation is None else f"{generation}-{self._run_id()}"

    @translated()
    def begin_rebuild(self) -> str:
        self.redis.set("dream:rebuild", secrets.token_hex(8), nx=True)
        return f"{self.redis.get('dream:rebuild')}-{self._run_id()}"

    @translated()
    def end_rebuild(self, token: str) -> str | None:
        marker, run_id = token.split("-", 1)
        generation = self._run("end_rebuild", marker, secrets.token_hex(8))
        return f"{generation}-{run_id}" if generation and self._run_id() == run_id else None

    @translated()
    def probe(self) -> None:
        sent = "x" * PROBE_BYTES
        if self.redis.echo(sent) != sent:
            raise StoreUnavailable

    @translated()
    def check_writes(self) -> None:
        self.redis.set(WRITE_CHECK, 1, px=WRITE_CHECK_MS)

    @translated()
    def lead(self, name: str, *, ttl_s: float) -> bool:
        return bool(self._run("lead", name, int(ttl_s * 1000)))

    @translated()
    def check(self) -> None:
        if problems := unmet(self.redis):
            raise UnfitService(" ".join(f"{found.problem} {found.remedy}" for found in problems))

    def _run_id(self) -> str:
        return str(cast(dict[str, str], self.redis.info("server"))["run_id"])


def _worker(name: str, until_ms: float, text: str) -> WorkerInfo | None:
    """Returns a registered worker; None if it is of another version that this one can't read."""
    try:
        description = json.loads(text)
        seen_at = until_ms / 1000 - description["ttl_s"]
        return _WORKERS.validate_python({**description, "name": name, "seen_at": seen_at})
    except (ValueError, KeyError, TypeError) as exc:
        _log_unreadable(name, str(exc))
        return None


@lru_cache(maxsize=256)  # once, because workers are listed every few seconds
def _log_unreadable(name: str, reason: str) -> None:
    log.warning("worker_unreadable", worker=name, reason=reason)
