"""Live state in Redis. Every change of a job is one Lua script, so that no half of it is ever seen."""

import json
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from importlib import resources
from itertools import islice
from typing import Any, cast

import redis
import structlog
from pydantic import TypeAdapter

from shared import dependency_metrics
from shared.errors import ClaimLost, JobNotFound, StoreUnavailable, UnfitService
from shared.interfaces import WorkerInfo
from shared.jobs import PRIORITIES, InputImage, Job, JobError, JobProgress, JobState, Outcome
from shared.params import DreamParams, Params
from shared.queue_stats import QueueStats
from shared.redis.connection import connect
from shared.redis.requirements import unmet
from shared.settings import Settings

SCRIPTS = (
    *(
        "create",
        "claim",
        "renew",
        "checkpoint_stored",
        "release",
        "expire_lease",
        "finish",
        "cancel",
        "retry",
        "forget",
    ),
    *("fix_tile_size", "expire", "register_worker", "lead", "preview_stored", "rebuild_turns"),
)
MENDED_AT_ONCE = 500  # owners
PARAMS: TypeAdapter[Params] = TypeAdapter(Params)

log = structlog.get_logger(__name__)


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except redis.RedisError as exc:
        dependency_metrics.REDIS_ERRORS.labels(type(exc).__name__).inc()
        if isinstance(exc, redis.ResponseError):  # it answered, and refused: full, read-only, or a fault of ours
            log.exception("redis_command_refused")
        raise StoreUnavailable from exc


class RedisJobStore:
    """The JobStore port on Redis 6.2 or newer. Safe to share between threads, not over a fork."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis = client
        files = resources.files("shared.redis") / "lua"
        prelude = (files / "prelude.lua").read_text()
        self._scripts = {
            name: client.register_script(prelude + (files / f"{name}.lua").read_text()) for name in SCRIPTS
        }

    @classmethod
    def connect(cls, settings: Settings) -> "RedisJobStore":
        """No call is made yet; a link that went dead is noticed within the time limit."""
        return cls(connect(settings))

    @_translated()
    def create(self, job: Job) -> bool:
        fields: list[str | int | float] = []
        for name, value in _to_hash(job).items():
            fields += [name, value]
        return bool(self._run("create", job.id, *fields))

    @_translated()
    def get(self, job_id: str) -> Job | None:
        return _from_hash(cast(dict[str, str], self.redis.hgetall(f"dream:job:{job_id}")))

    @_translated()
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

    @_translated()
    def cancel(self, job_id: str) -> Job | None:
        return _from_flat(self._run("cancel", job_id))

    @_translated()
    def retry(self, job_id: str, *, retry_count: int) -> Job | None:
        return _from_flat(self._run("retry", job_id, retry_count))

    @_translated()
    def forget(self, job_id: str) -> None:
        self._run("forget", job_id)

    @_translated()
    def claim(self, worker: str, models: Sequence[str], *, lease_s: float) -> Job | None:
        ours: tuple[str | float, ...] = (worker, secrets.token_hex(8), int(lease_s * 1000), *models)
        answer = self._run("claim", *ours)
        if answer == "rebuild_turns":
            self.rebuild_turns()
            answer = self._run("claim", *ours)
        return None if answer == "rebuild_turns" else _from_flat(answer)

    @_translated()
    def rebuild_turns(self) -> None:
        for priority in PRIORITIES:
            # Not in one script: with very many owners it would hold up everybody else.
            owners = (owner for owner, _ in self.redis.hscan_iter(f"dream:owned:{priority}", count=MENDED_AT_ONCE))
            while some := list(islice(owners, MENDED_AT_ONCE)):
                self._run("rebuild_turns", priority, *some)

    @_translated()
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

    @_translated()
    def preview_stored(self, job: Job) -> None:
        self._run("preview_stored", job.id, job.claim or "")

    @_translated()
    def checkpoint_stored(self, job: Job) -> None:
        if not self._run("checkpoint_stored", job.id, job.claim or ""):
            raise ClaimLost

    @_translated()
    def fix_tile_size(self, job: Job, tile_size: int) -> int:
        fixed = self._run("fix_tile_size", job.id, job.claim or "", tile_size)
        if fixed is None:
            raise ClaimLost
        return int(fixed)

    @_translated()
    def release(self, job: Job) -> Job:
        released = _from_flat(self._run("release", job.id, job.claim or ""))
        if released is None:
            raise ClaimLost
        return released

    @_translated()
    def finish(self, job_id: str, outcome: Outcome) -> Job | None:
        error = outcome.error.model_dump_json() if outcome.error else ""
        says = (outcome.retry_count, outcome.state, outcome.finished_at, outcome.claim or "", error)
        started_at = "" if outcome.started_at is None else outcome.started_at
        return _from_flat(self._run("finish", job_id, *says, started_at, outcome.attempt))

    @_translated()
    def expire(self, job_id: str) -> Job | None:
        return _from_flat(self._run("expire", job_id))

    @_translated()
    def expired_leases(self) -> Sequence[Job]:
        ids = self.redis.zrangebyscore("dream:leases", "-inf", f"({self._now() * 1000:.0f}")
        return self._load(cast(list[str], ids))

    @_translated()
    def expire_lease(self, job: Job, *, max_deaths: int) -> Job | None:
        return _from_flat(self._run("expire_lease", job.id, job.claim or "", max_deaths))

    @_translated()
    def overdue(self) -> Sequence[Job]:
        ids = self.redis.zrangebyscore("dream:deadlines", "-inf", self._now())
        return [job for job in self._load(cast(list[str], ids)) if job.state is JobState.QUEUED]

    @_translated()
    def waiting(self) -> Mapping[str, int]:
        counts = cast(dict[str, str], self.redis.hgetall("dream:models"))
        return {model: int(count) for model, count in counts.items()}

    @_translated()
    def register_worker(self, worker: WorkerInfo, *, ttl_s: float) -> None:
        description = {"models": worker.models, "device": worker.device, "job_id": worker.job_id, "ttl_s": ttl_s}
        self._run("register_worker", worker.name, int(ttl_s * 1000), json.dumps(description))

    @_translated()
    def workers(self) -> Sequence[WorkerInfo]:
        live = cast(
            list[tuple[str, float]],
            self.redis.zrangebyscore("dream:workers", self._now() * 1000, "+inf", withscores=True),
        )
        described = cast(list[str | None], self.redis.hmget("dream:worker", [name for name, _ in live]) if live else [])
        return [
            _worker(name, until_ms, json.loads(text))
            for (name, until_ms), text in zip(live, described, strict=True)
            if text
        ]

    @_translated()
    def queue_stats(self) -> QueueStats:
        pipe = self.redis.pipeline(transaction=False)
        pipe.hgetall("dream:counts")
        pipe.hgetall("dream:models")
        pipe.zrange("dream:state:queued", 0, 0)
        counts, models, oldest = cast(tuple[dict[str, str], dict[str, str], list[str]], tuple(pipe.execute()))
        submitted_at = (
            _number(cast(str | None, self.redis.hget(f"dream:job:{oldest[0]}", "created_at"))) if oldest else None
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

    @_translated()
    def length(self, queue: str) -> int:
        """Messages in a broker's queue that nobody has taken."""
        return cast(int, self.redis.llen(queue))

    @_translated()
    def redis_generation(self) -> str | None:
        generation = cast(str | None, self.redis.get("dream:generation"))
        run = cast(dict[str, str], self.redis.info("server"))["run_id"]
        return None if generation is None else f"{generation}-{run}"

    @_translated()
    def begin_generation(self) -> None:
        self.redis.set("dream:generation", secrets.token_hex(8), nx=True)

    @_translated()
    def lead(self, name: str, *, ttl_s: float) -> bool:
        return bool(self._run("lead", name, int(ttl_s * 1000)))

    @_translated()
    def check(self) -> None:
        if problems := unmet(self.redis):
            raise UnfitService(" ".join(f"{found.problem} {found.remedy}" for found in problems))

    def _run(self, script: str, *args: str | float) -> Any:  # noqa: ANN401 - each script answers in its own shape
        return self._scripts[script](args=args)

    def _now(self) -> float:
        seconds, micros = cast(tuple[int, int], self.redis.time())
        return seconds + micros / 1e6

    def _ids(self, owner: str, states: Iterable[JobState], before: str | None, limit: int) -> list[str]:
        pipe = self.redis.pipeline(transaction=False)
        for state in states:
            pipe.zrevrangebylex(f"dream:owner:{owner}:{state}", f"({before}" if before else "+", "-", 0, limit)
        return sorted({job_id for ids in pipe.execute() for job_id in ids}, reverse=True)[:limit]

    def _load(self, ids: Iterable[str]) -> list[Job]:
        pipe = self.redis.pipeline(transaction=False)
        for job_id in ids:
            pipe.hgetall(f"dream:job:{job_id}")
        return [job for job in map(_from_hash, pipe.execute()) if job]


def _worker(name: str, until_ms: float, description: dict[str, Any]) -> WorkerInfo:
    return WorkerInfo(
        name=name,
        models=tuple(description["models"]),
        device=description["device"],
        job_id=description["job_id"],
        seen_at=until_ms / 1000 - description["ttl_s"],
    )


def _to_hash(job: Job) -> dict[str, str | int | float]:
    optional = {
        "deadline_at": job.deadline_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "claim": job.claim,
        "worker": job.worker,
        "tile_size": job.params.tile_size if isinstance(job.params, DreamParams) else None,
        "guide": job.guide.model_dump_json() if job.guide else None,
        "mask": job.mask.model_dump_json() if job.mask else None,
        "error": job.error.model_dump_json() if job.error else None,
    }
    required: dict[str, str | int | float] = {
        "id": job.id,
        "kind": job.kind,
        "owner": job.owner,
        "priority": job.priority,
        "state": job.state,
        "model": job.params.model,
        "params": job.params.model_dump_json(),
        "input": job.input.model_dump_json(),
        "created_at": job.created_at,
        "retry_count": job.retry_count,
        "attempt": job.attempt,
        "deaths": job.deaths,
        "progress": job.progress.model_dump_json(),
        "fraction": job.progress.fraction,
    }
    return required | {name: value for name, value in optional.items() if value is not None}


def _from_flat(answer: list[str] | None) -> Job | None:
    return None if answer is None else _from_hash(dict(zip(answer[::2], answer[1::2], strict=True)))


@lru_cache(maxsize=4096)  # the same text at every poll, and the records are frozen
def _params(text: str) -> Params:
    return PARAMS.validate_json(text)


@lru_cache(maxsize=4096)
def _input(text: str) -> InputImage:
    return InputImage.model_validate_json(text)


def _from_hash(fields: dict[str, str]) -> Job | None:
    if not fields:
        return None
    params = _params(fields["params"])
    tile_size = fields.get("tile_size")
    return Job(
        id=fields["id"],
        kind=cast(Any, fields["kind"]),
        owner=fields["owner"],
        priority=cast(Any, fields["priority"]),
        state=JobState(fields["state"]),
        params=params.model_copy(update={"tile_size": int(tile_size)}) if tile_size else params,
        input=_input(fields["input"]),
        guide=InputImage.model_validate_json(fields["guide"]) if "guide" in fields else None,
        mask=InputImage.model_validate_json(fields["mask"]) if "mask" in fields else None,
        created_at=float(fields["created_at"]),
        deadline_at=_number(fields.get("deadline_at")),
        started_at=_number(fields.get("started_at")),
        finished_at=_number(fields.get("finished_at")),
        retry_count=int(fields["retry_count"]),
        attempt=int(fields["attempt"]),
        deaths=int(fields["deaths"]),
        claim=fields.get("claim"),
        worker=fields.get("worker"),
        progress=JobProgress.model_validate_json(fields["progress"]),
        error=JobError.model_validate_json(fields["error"]) if "error" in fields else None,
        version=int(fields.get("version", 0)),
    )


def _number(text: str | None) -> float | None:
    return None if text is None else float(text)
