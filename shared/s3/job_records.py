"""Reads a job's documents in S3 and builds the job from them. `lifecycle.py` writes them."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from typing import Literal

from shared.interfaces import ObjectStorage
from shared.jobs.job import Document, Job, JobName, JobState, Manifest, Outcome
from shared.s3 import object_keys

# Takes the place of a manifest: the submission was given up, and a delayed write of the real manifest fails.
VOID = b'{"format":1,"void":true}'

CANCELED_KEPT_S = object_keys.DAY_S  # how long a retry finds a canceled job's checkpoints

Step = Literal["retry", "expired"]


class Sequel(Document):
    """Records the step after an outcome, at `jobs/{id}/sequel-{retry_count}`."""

    step: Step
    deadline_at: float | None = None  # of a retry, Unix time, seconds


class JobRecords:
    """Reads a job's documents. Every call raises StorageUnavailable (retryable)."""

    def __init__(self, storage: ObjectStorage) -> None:
        self._storage = storage

    def keys(self, job_id: str) -> frozenset[str]:
        """Returns all keys in the job's folder: one call, which saves a request for each."""
        return frozenset(self._storage.keys(object_keys.job(job_id)))

    def fate(self, job_id: str) -> Manifest | Literal["void"] | None:
        """Returns the accepted request; "void" when it was given up; None while undecided, or after a delete."""
        document = self._storage.get(object_keys.manifest(job_id))
        if document is None:
            return None
        return "void" if document == VOID else Manifest.model_validate_json(document)

    def manifest(self, job_id: str) -> Manifest | None:
        """Returns the accepted request; None when the job was not accepted or was deleted."""
        fate = self.fate(job_id)
        return fate if isinstance(fate, Manifest) else None

    def is_deleted(self, job_id: str) -> bool:
        return self._storage.size(object_keys.tombstone(job_id)) is not None

    def outcome(self, job_id: str, retry_count: int) -> Outcome | None:
        document = self._storage.get(object_keys.outcome(job_id, retry_count))
        return None if document is None else Outcome.model_validate_json(document)

    def is_cancel_asked(self, job_id: str, retry_count: int) -> bool:
        return self._storage.size(object_keys.cancel(job_id, retry_count)) is not None

    def sequel(self, job_id: str, retry_count: int) -> Sequel | None:
        document = self._storage.get(object_keys.sequel(job_id, retry_count))
        return None if document is None else Sequel.model_validate_json(document)

    def name(self, job_id: str, keys: Collection[str], *, otherwise: str | None) -> str | None:
        """Returns the job's name if it was renamed. keys: those of its folder. otherwise: the name in its manifest."""
        key = object_keys.name(job_id)
        document = self._storage.get(key) if key in keys else None
        return otherwise if document is None else JobName.model_validate_json(document).name

    def pending_retries(self, job_id: str) -> list[int]:
        """Returns the `retry_count` of each pending marker of the job."""
        return [object_keys.parse_pending(key)[1] for key in self._storage.keys(object_keys.pending(job_id))]

    def recall(self, job_id: str) -> Job | None:
        """Returns the job as S3 has it, waiting or ended; None if it is deleted or was never accepted."""
        manifest = self.manifest(job_id)
        if manifest is None or self.is_deleted(job_id):
            return None
        # List `pending` before the outcomes: a marker that has gone by then already has its outcome.
        pending = self.pending_retries(job_id)
        keys = self.keys(job_id)
        return self.job(manifest, last_retry(pending, keys), keys)

    def job(self, manifest: Manifest, retry_count: int, keys: Collection[str]) -> Job:
        """Builds the job at that `retry_count`. keys: those of its folder."""
        sequel = self.sequel(manifest.id, retry_count - 1) if retry_count > 0 else None
        if sequel is not None and sequel.step == "expired":
            retry_count -= 1  # a retry that lost against expiry; only its `pending` is left
            sequel = self.sequel(manifest.id, retry_count - 1) if retry_count > 0 else None
        job = Job.from_manifest(manifest, retry_count=retry_count)
        deadline_at = sequel.deadline_at if sequel is not None else job.deadline_at
        job = replace(job, name=self.name(manifest.id, keys, otherwise=job.name), deadline_at=deadline_at)
        outcome = self.outcome(manifest.id, retry_count)
        if outcome is None:
            return job
        job = job.ended(outcome)
        may_be_expired = object_keys.sequel(manifest.id, retry_count) in keys
        next_step = self.sequel(manifest.id, retry_count) if may_be_expired else None
        return replace(job, state=JobState.EXPIRED) if next_step is not None and next_step.step == "expired" else job


def last_retry(pending: Iterable[int], keys: Iterable[str]) -> int:
    """Returns the highest `retry_count` that is pending or has ended."""
    ended = [object_keys.outcome_retry_count(key) for key in keys]
    return max([*pending, *(retry_count for retry_count in ended if retry_count is not None)], default=0)


def leftovers(job_id: str, ended: Job | Outcome, keys: Iterable[str], *, now: float) -> list[str]:
    """Returns those of the keys that are no longer needed once the job has ended in that way.

    now: Unix time, seconds.
    They are the outputs of attempts that lost, and the checkpoints unless the job may be retried: after a failure at
    any time, after a cancel for a day. For an expired job they are all objects except its documents.
    """
    attempts, checkpoints = object_keys.attempts(job_id), object_keys.checkpoints(job_id)
    if isinstance(ended, Job) and ended.state is JobState.EXPIRED:
        return [key for key in keys if not _is_document(job_id, key)]
    winner = object_keys.output(job_id, ended.claim, "") if ended.claim else None
    canceled_lately = ended.state is JobState.CANCELED and now - (ended.finished_at or now) < CANCELED_KEPT_S
    keeps_checkpoints = ended.state is JobState.FAILED or canceled_lately
    return [
        key
        for key in keys
        if (key.startswith(attempts) and not (winner and key.startswith(winner)))
        or (key.startswith(checkpoints) and not keeps_checkpoints)
    ]


def _is_document(job_id: str, key: str) -> bool:
    """Returns True for the documents that expiry keeps: the request, the name, the outcomes and the sequels."""
    folder = object_keys.job(job_id)
    return (
        key in (object_keys.manifest(job_id), object_keys.name(job_id))
        or key.startswith(f"{folder}sequel-")
        or (key.count("/") == folder.count("/") and object_keys.outcome_retry_count(key) is not None)
    )
