"""Makes jobs for tests."""

from itertools import count

from ulid import ULID

from shared.jobs.job import InputImage, Job, JobState, Manifest
from shared.networks.catalog import resolve
from shared.params import DreamParams

_milliseconds = count(1_800_000_000_000)


def a_manifest(**fields) -> Manifest:
    params = fields.pop("params", DreamParams(octaves=1, iterations=2))
    defaults = {
        "id": str(ULID.from_timestamp(next(_milliseconds))),
        "kind": "dream",
        "owner": "local",
        "priority": "normal",
        "params": resolve(params),
        "input": InputImage(format="png", width=96, height=80, size_bytes=1234),
        "created_at": 1_800_000_000.0,
    }
    return Manifest(**(defaults | fields))


def a_job(**fields) -> Job:
    """Makes a queued job, newer than those made before it."""
    return Job.from_manifest(a_manifest(**fields))


def an_ended_job(state: JobState, **fields) -> Job:
    job = a_job(**fields)
    return Job(**{**job.__dict__, "state": state, "finished_at": job.created_at + 1})
