"""Converts a job to a Redis hash and back."""

from functools import lru_cache
from typing import Any, cast

from pydantic import TypeAdapter

from shared.jobs.job import InputImage, Job, JobError, JobProgress, JobState
from shared.params import DreamParams, Params

PARAMS: TypeAdapter[Params] = TypeAdapter(Params)


def to_hash(job: Job) -> dict[str, str | int | float]:
    """Returns the fields that scripts write; omits those that are None."""
    optional = {
        "deadline_at": job.deadline_at,
        "started_at": job.started_at,
        "finished_at": job.finished_at,
        "claim": job.claim,
        "worker": job.worker,
        "tile_size": job.params.tile_size if isinstance(job.params, DreamParams) else None,
        "guide": job.guide.model_dump_json() if job.guide else None,
        "mask": job.mask.model_dump_json() if job.mask else None,
        "name": job.name,
        "preset": job.preset,
        "changed": ",".join(job.changed) or None,
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


def from_flat(answer: list[str] | None) -> Job | None:
    """Builds a job from a script's response, in which fields and values alternate; None for None."""
    return None if answer is None else from_hash(dict(zip(answer[::2], answer[1::2], strict=True)))


@lru_cache(maxsize=4096)  # every poll sees the same text, and the records are frozen
def _params(text: str) -> Params:
    return PARAMS.validate_json(text)


@lru_cache(maxsize=4096)
def _input(text: str) -> InputImage:
    return InputImage.model_validate_json(text)


def from_hash(fields: dict[str, str]) -> Job | None:
    """Builds a job from a hash. Returns None for an empty hash: the job does not exist."""
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
        name=fields.get("name"),
        preset=fields.get("preset"),
        changed=tuple(fields["changed"].split(",")) if "changed" in fields else (),
        created_at=float(fields["created_at"]),
        deadline_at=number(fields.get("deadline_at")),
        started_at=number(fields.get("started_at")),
        finished_at=number(fields.get("finished_at")),
        retry_count=int(fields["retry_count"]),
        attempt=int(fields["attempt"]),
        deaths=int(fields["deaths"]),
        claim=fields.get("claim"),
        worker=fields.get("worker"),
        progress=JobProgress.model_validate_json(fields["progress"]),
        error=JobError.model_validate_json(fields["error"]) if "error" in fields else None,
        version=int(fields.get("version", 0)),
    )


def number(text: str | None) -> float | None:
    return None if text is None else float(text)
