"""What S3 holds of a job: its documents read, and the job as they tell it. `lifecycle.py` writes them."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Literal

from shared.interfaces import ObjectStorage
from shared.jobs import Document, Job, JobState, Manifest, Outcome
from shared.s3 import object_keys

# In a manifest's place: the submission was given up, and a late writer of the real manifest comes too late for good.
VOID = b'{"format":1,"void":true}'

Step = Literal["retry", "expired"]


class Sequel(Document):
    """`jobs/{id}/sequel-{retry count}`."""

    step: Step


class JobRecords:
    """Reads. Every call raises StorageUnavailable (retryable)."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage

    def keys(self, job_id: str) -> frozenset[str]:
        """All keys in the job's folder: one call that spares a request for each."""
        return frozenset(self._storage.keys(object_keys.job(job_id)))

    def fate(self, job_id: str) -> Manifest | Literal["void"] | None:
        """The accepted request; "void" when it was given up; None while neither is decided, or after a delete."""
        document = self._storage.get(object_keys.manifest(job_id))
        if document is None:
            return None
        return "void" if document == VOID else Manifest.model_validate_json(document)

    def manifest(self, job_id: str) -> Manifest | None:
        """The accepted request; None when the job was not accepted, or was deleted."""
        fate = self.fate(job_id)
        return fate if isinstance(fate, Manifest) else None

    def is_deleted(self, job_id: str) -> bool:
        return self._storage.size(object_keys.tombstone(job_id)) is not None

    def outcome(self, job_id: str, retry_count: int) -> Outcome | None:
        document = self._storage.get(object_keys.outcome(job_id, retry_count))
        return None if document is None else Outcome.model_validate_json(document)

    def is_cancel_asked(self, job_id: str, retry_count: int) -> bool:
        return self._storage.size(object_keys.cancel(job_id, retry_count)) is not None

    def sequel(self, job_id: str, retry_count: int) -> Step | None:
        document = self._storage.get(object_keys.sequel(job_id, retry_count))
        return None if document is None else Sequel.model_validate_json(document).step

    def owed(self, job_id: str) -> list[int]:
        """The retry counts that `pending/` still owes an outcome."""
        return [object_keys.owed(key)[1] for key in self._storage.keys(object_keys.pending(job_id))]

    def recall(self, job_id: str) -> Job | None:
        """The job as S3 knows it, waiting or as its last outcome says; None if it is deleted or was never accepted."""
        manifest = self.manifest(job_id)
        if manifest is None or self.is_deleted(job_id):
            return None
        # The outcomes after what is owed: what is owed no longer has its outcome by then.
        owed = self.owed(job_id)
        keys = self.keys(job_id)
        return self.job(manifest, last_retry(owed, keys), keys)

    def job(self, manifest: Manifest, retry_count: int, keys: Collection[str]) -> Job:
        """The job in that retry. keys: its folder's."""
        if retry_count > 0 and self.sequel(manifest.id, retry_count - 1) == "expired":
            retry_count -= 1  # a retry that came after the expiry, and whose `pending` is left over
        job = Job.from_manifest(manifest, retry_count=retry_count)
        outcome = self.outcome(manifest.id, retry_count)
        if outcome is None:
            return job
        job = job.ended(outcome)
        may_be_expired = object_keys.sequel(manifest.id, retry_count) in keys
        is_expired = may_be_expired and self.sequel(manifest.id, retry_count) == "expired"
        return replace(job, state=JobState.EXPIRED) if is_expired else job


def last_retry(owed: Iterable[int], keys: Iterable[str]) -> int:
    """The latest retry that is owed or has ended."""
    ended = [object_keys.outcome_retry_count(key) for key in keys]
    return max([*owed, *(retry_count for retry_count in ended if retry_count is not None)], default=0)


def leftovers(job_id: str, ended: Job | Outcome, keys: Iterable[str]) -> list[str]:
    """Of these keys, those that nobody needs any more once the job has ended like that.

    They are the outputs of attempts that don't count, and checkpoints unless the job failed and may be retried; of an
    expired job all but its documents.
    """
    attempts, checkpoints = object_keys.attempts(job_id), object_keys.checkpoints(job_id)
    if isinstance(ended, Job) and ended.state is JobState.EXPIRED:
        return [key for key in keys if not _is_document(job_id, key)]
    winner = object_keys.output(job_id, ended.claim, "") if ended.claim else None
    return [
        key
        for key in keys
        if (key.startswith(attempts) and not (winner and key.startswith(winner)))
        or (key.startswith(checkpoints) and ended.state is not JobState.FAILED)
    ]


def _is_document(job_id: str, key: str) -> bool:
    """Whether expiry keeps it: the request, how it ended, and that it is expired."""
    folder = object_keys.job(job_id)
    return (
        key == object_keys.manifest(job_id)
        or key.startswith(f"{folder}sequel-")
        or (key.count("/") == folder.count("/") and object_keys.outcome_retry_count(key) is not None)
    )
