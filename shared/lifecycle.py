"""What is owed and what is done, as S3 holds it: a job is accepted once and settled once, whatever happens to Redis."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import BinaryIO

from shared.interfaces import JobStore, ObjectStorage
from shared.jobs import Job, JobState, Manifest, Outcome, Pending
from shared.s3 import object_keys
from shared.webhooks import delivery

JSON = "application/json"


def accept(
    storage: ObjectStorage, manifest: Manifest, image: BinaryIO | None, *, beside: Mapping[str, BinaryIO] | None = None
) -> None:
    """Makes the job durable; from `pending` on it is owed an outcome, also if we die before Redis hears of it.

    image: None where it lies with the job already.   beside: guide and mask, by their keys.
    """
    for key, file in (beside or {}).items():
        storage.put(key, file)
    if image is not None:
        storage.put(object_keys.image(manifest.id), image, content_type=f"image/{manifest.input.format}")
    storage.put(
        object_keys.manifest(manifest.id), manifest.model_dump_json().encode(), content_type=JSON, if_absent=True
    )
    _mark(storage, object_keys.pending(manifest.id), retry_count=0)


def reopen(storage: ObjectStorage, job: Job) -> int:
    """A failed job is owed another outcome: the next retry_count. Returns it."""
    retry_count = job.retry_count + 1
    _mark(storage, object_keys.pending(job.id, retry_count), retry_count=retry_count)
    return retry_count


def ask_to_cancel(storage: ObjectStorage, job: Job) -> None:
    """Durable before it is answered: heard also after Redis was wiped."""
    _mark(storage, object_keys.cancel(job.id), retry_count=job.retry_count)


def kept(storage: ObjectStorage, job_id: str) -> frozenset[str]:
    """The keys of all that lies with the job: one call that spares a look for each."""
    return frozenset(storage.keys(object_keys.job(job_id)))


def cancel_asked(storage: ObjectStorage, job: Job) -> bool:
    return _marked(storage, object_keys.cancel(job.id), retry_count=job.retry_count)


def cancel(storage: ObjectStorage, store: JobStore, job: Job, *, now: float) -> Job:
    """Carries out a durable wish to cancel: a waiting job ends here, a running one is told. The job as it is then."""
    told = store.cancel(job.id) or job
    if told.state is JobState.QUEUED:
        canceled = Outcome(
            retry_count=told.retry_count,
            state=JobState.CANCELED,
            finished_at=now,
            started_at=told.started_at,
            attempt=told.attempt,
        )
        settled = settle(storage, store, job.id, canceled)
        told = store.get(job.id) or told.ended(settled)
    return told


def is_deleted(storage: ObjectStorage, job_id: str) -> bool:
    return storage.size(object_keys.tombstone(job_id)) is not None


def read_outcome(storage: ObjectStorage, job_id: str, retry_count: int) -> Outcome | None:
    document = storage.get(object_keys.outcome(job_id, retry_count))
    return None if document is None else Outcome.model_validate_json(document)


def settle(storage: ObjectStorage, store: JobStore, job_id: str, outcome: Outcome) -> Outcome:
    """THE commit: the first outcome of an retry_count is the truth. Returns that one, ours or an earlier one.

    May be repeated, by anyone: what is left undone by a crash, the next caller does.
    """
    document = outcome.model_dump_json().encode()
    if not storage.put(object_keys.outcome(job_id, outcome.retry_count), document, content_type=JSON, if_absent=True):
        outcome = read_outcome(storage, job_id, outcome.retry_count) or outcome
    close(storage, store, job_id, outcome)
    if is_deleted(storage, job_id):  # meanwhile: of the two of us, the one who looks last cleans up
        erase(storage, job_id)
        store.forget(job_id)
    return outcome


def close(storage: ObjectStorage, store: JobStore, job_id: str, outcome: Outcome) -> None:
    """Lets Redis, the outbox and `pending` know of a written outcome."""
    delivery.owe_completed(storage, job_id, outcome)
    store.finish(job_id, outcome)
    storage.delete([object_keys.pending(job_id, outcome.retry_count)])


def sweep(storage: ObjectStorage, job_id: str, outcome: Outcome) -> None:
    """Removes what no reader of the settled job needs: losers' outputs and checkpoints.

    A failed job keeps its checkpoints, since it may be retried, and its outputs, which by now may be the retry's:
    the caretaker looks after those, and each loser after its own.
    """
    if outcome.state is not JobState.FAILED:
        storage.delete(leftovers(job_id, outcome, kept(storage, job_id)))


def leftovers(job_id: str, ended: Job | Outcome, keys: Iterable[str]) -> list[str]:
    """Of these, outputs of attempts that don't count, and checkpoints, which only a failed job still needs."""
    attempts, checkpoints = object_keys.attempts(job_id), object_keys.checkpoints(job_id)
    winner = object_keys.output(job_id, ended.claim, "") if ended.claim else None
    return [
        key
        for key in keys
        if (key.startswith(attempts) and not (winner and key.startswith(winner)))
        or (key.startswith(checkpoints) and ended.state is not JobState.FAILED)
    ]


def recall(storage: ObjectStorage, job_id: str) -> Job | None:
    """The job as S3 knows it, waiting or as its last outcome says; None if it is deleted or was never accepted."""
    document = storage.get(object_keys.manifest(job_id))
    if document is None or is_deleted(storage, job_id):
        return None
    owed = [object_keys.owed(key)[1] for key in storage.keys(object_keys.pending(job_id))]
    done = [object_keys.outcome_retry_count(key) for key in storage.keys(f"{object_keys.job(job_id)}outcome")]
    retry_count = max((retry_count for retry_count in [*owed, *done] if retry_count is not None), default=None)
    if retry_count is None:
        return None
    job = Job.from_manifest(Manifest.model_validate_json(document), retry_count=retry_count)
    outcome = read_outcome(storage, job_id, retry_count)
    if outcome is None:
        return job
    job = job.ended(outcome)
    return (
        replace(job, state=JobState.EXPIRED)
        if _marked(storage, object_keys.expired(job_id), retry_count=retry_count)
        else job
    )


def restore(storage: ObjectStorage, store: JobStore, job_id: str, *, now: float) -> Job | None:
    """Puts a job that Redis does not know back into it, as S3 says. The job as it is then, None as for `recall`."""
    recalled = recall(storage, job_id)
    if recalled is None:
        return None
    store.create(recalled)
    # It may have been deleted or have ended after we read, by somebody who found nothing in Redis to change.
    if is_deleted(storage, job_id):
        store.forget(job_id)
        return None
    outcome = read_outcome(storage, job_id, recalled.retry_count)
    if outcome is not None:
        close(storage, store, job_id, outcome)
    elif cancel_asked(storage, recalled):
        return cancel(storage, store, recalled, now=now)
    return store.get(job_id) or recalled


def expire(storage: ObjectStorage, store: JobStore, job_id: str, retry_count: int) -> None:
    """Removes an ended job's pictures. The manifest and the outcomes stay, so that it is known to have been."""
    _mark(storage, object_keys.expired(job_id), retry_count=retry_count)
    kept = {object_keys.manifest(job_id), object_keys.expired(job_id)}
    storage.delete(
        key
        for key in storage.keys(object_keys.job(job_id))
        if key not in kept and object_keys.outcome_retry_count(key) is None
    )
    store.expire(job_id)


def erase(storage: ObjectStorage, job_id: str) -> None:
    """The job and all its objects. The tombstone is written first, and stays."""
    storage.put(object_keys.tombstone(job_id), b"")
    storage.delete(storage.keys(object_keys.pending(job_id)))
    storage.delete(storage.keys(object_keys.job(job_id)))


def _mark(storage: ObjectStorage, key: str, *, retry_count: int) -> None:
    storage.put(key, Pending(retry_count=retry_count).model_dump_json().encode(), content_type=JSON)


def _marked(storage: ObjectStorage, key: str, *, retry_count: int) -> bool:
    mark = storage.get(key)
    return mark is not None and Pending.model_validate_json(mark).retry_count == retry_count
