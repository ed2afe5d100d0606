"""Writes the lifecycle's documents to S3 but not to Redis, as a crash in between leaves them."""

from shared.interfaces import ObjectStorage
from shared.jobs.job import Job, Manifest, Outcome, Pending
from shared.s3 import object_keys
from shared.s3.job_records import VOID, Sequel


def accepted(storage: ObjectStorage, manifest: Manifest, photograph: bytes = b"pixels") -> Job:
    storage.put(object_keys.image(manifest.id), photograph)
    pending(storage, manifest.id, 0)
    storage.put(object_keys.manifest(manifest.id), manifest.model_dump_json().encode(), if_absent=True)
    return Job.from_manifest(manifest)


def pending(storage: ObjectStorage, job_id: str, retry_count: int) -> None:
    storage.put(object_keys.pending(job_id, retry_count), Pending(retry_count=retry_count).model_dump_json().encode())


def given_up(storage: ObjectStorage, job_id: str) -> None:
    storage.put(object_keys.manifest(job_id), VOID, if_absent=True)


def cancel_asked(storage: ObjectStorage, job: Job) -> None:
    storage.put(
        object_keys.cancel(job.id, job.retry_count), Pending(retry_count=job.retry_count).model_dump_json().encode()
    )


def retried(storage: ObjectStorage, job: Job) -> int:
    """Marks the job as retried. Returns the new `retry_count`."""
    pending(storage, job.id, job.retry_count + 1)
    storage.put(
        object_keys.sequel(job.id, job.retry_count), Sequel(step="retry").model_dump_json().encode(), if_absent=True
    )
    return job.retry_count + 1


def settled(storage: ObjectStorage, job_id: str, outcome: Outcome) -> None:
    storage.put(object_keys.outcome(job_id, outcome.retry_count), outcome.model_dump_json().encode(), if_absent=True)


def deleted(storage: ObjectStorage, job_id: str) -> None:
    storage.put(object_keys.tombstone(job_id), b"")
    for prefix in (object_keys.pending(job_id), object_keys.job(job_id)):
        storage.delete(storage.keys(prefix))
