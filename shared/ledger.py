"""What is owed and what is done, as S3 holds it: a job is accepted once and settled once, whatever happens to Redis."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import BinaryIO

from shared import layout, webhooks
from shared.jobs import Job, JobState, Manifest, Outcome, Pending
from shared.ports import Blobs, Store

JSON = "application/json"


def accept(
    blobs: Blobs, manifest: Manifest, image: BinaryIO | None, *, beside: Mapping[str, BinaryIO] | None = None
) -> None:
    """Makes the job durable; from `pending` on it is owed an outcome, also if we die before Redis hears of it.

    image: None where it lies with the job already.   beside: guide and mask, by their keys.
    """
    for key, file in (beside or {}).items():
        blobs.put(key, file)
    if image is not None:
        blobs.put(layout.image(manifest.id), image, content_type=f"image/{manifest.input.format}")
    blobs.put(layout.manifest(manifest.id), manifest.model_dump_json().encode(), content_type=JSON, if_absent=True)
    _mark(blobs, layout.pending(manifest.id), epoch=0)


def reopen(blobs: Blobs, job: Job) -> int:
    """A failed job is owed another outcome: the next epoch. Returns it."""
    epoch = job.epoch + 1
    _mark(blobs, layout.pending(job.id, epoch), epoch=epoch)
    return epoch


def ask_to_cancel(blobs: Blobs, job: Job) -> None:
    """Durable before it is answered: heard also after Redis was wiped."""
    _mark(blobs, layout.cancel(job.id), epoch=job.epoch)


def kept(blobs: Blobs, job_id: str) -> frozenset[str]:
    """The keys of all that lies with the job: one call that spares a look for each."""
    return frozenset(blobs.keys(layout.job(job_id)))


def cancel_asked(blobs: Blobs, job: Job) -> bool:
    return _marked(blobs, layout.cancel(job.id), epoch=job.epoch)


def cancel(blobs: Blobs, store: Store, job: Job, *, now: float) -> Job:
    """Carries out a durable wish to cancel: a waiting job ends here, a running one is told. The job as it is then."""
    told = store.cancel(job.id) or job
    if told.state is JobState.QUEUED:
        canceled = Outcome(
            epoch=told.epoch,
            state=JobState.CANCELED,
            finished_at=now,
            started_at=told.started_at,
            attempt=told.attempt,
        )
        settled = settle(blobs, store, job.id, canceled)
        told = store.get(job.id) or told.ended(settled)
    return told


def is_deleted(blobs: Blobs, job_id: str) -> bool:
    return blobs.size(layout.tombstone(job_id)) is not None


def read_outcome(blobs: Blobs, job_id: str, epoch: int) -> Outcome | None:
    document = blobs.get(layout.outcome(job_id, epoch))
    return None if document is None else Outcome.model_validate_json(document)


def settle(blobs: Blobs, store: Store, job_id: str, outcome: Outcome) -> Outcome:
    """THE commit: the first outcome of an epoch is the truth. Returns that one, ours or an earlier one.

    May be repeated, by anyone: what is left undone by a crash, the next caller does.
    """
    document = outcome.model_dump_json().encode()
    if not blobs.put(layout.outcome(job_id, outcome.epoch), document, content_type=JSON, if_absent=True):
        outcome = read_outcome(blobs, job_id, outcome.epoch) or outcome
    close(blobs, store, job_id, outcome)
    if is_deleted(blobs, job_id):  # meanwhile: of the two of us, the one who looks last cleans up
        erase(blobs, job_id)
        store.forget(job_id)
    return outcome


def close(blobs: Blobs, store: Store, job_id: str, outcome: Outcome) -> None:
    """Lets Redis, the outbox and `pending` know of a written outcome."""
    webhooks.owe_completed(blobs, job_id, outcome)
    store.finish(job_id, outcome)
    blobs.delete([layout.pending(job_id, outcome.epoch)])


def sweep(blobs: Blobs, job_id: str, outcome: Outcome) -> None:
    """Removes what no reader of the settled job needs: losers' outputs and checkpoints.

    A failed job keeps its checkpoints, since it may be retried, and its outputs, which by now may be the retry's:
    the caretaker looks after those, and each loser after its own.
    """
    if outcome.state is not JobState.FAILED:
        blobs.delete(leftovers(job_id, outcome, kept(blobs, job_id)))


def leftovers(job_id: str, ended: Job | Outcome, keys: Iterable[str]) -> list[str]:
    """Of these, outputs of attempts that don't count, and checkpoints, which only a failed job still needs."""
    attempts, checkpoints = layout.attempts(job_id), layout.checkpoints(job_id)
    winner = layout.output(job_id, ended.claim, "") if ended.claim else None
    return [
        key
        for key in keys
        if (key.startswith(attempts) and not (winner and key.startswith(winner)))
        or (key.startswith(checkpoints) and ended.state is not JobState.FAILED)
    ]


def recall(blobs: Blobs, job_id: str) -> Job | None:
    """The job as S3 knows it, waiting or as its last outcome says; None if it is deleted or was never accepted."""
    document = blobs.get(layout.manifest(job_id))
    if document is None or is_deleted(blobs, job_id):
        return None
    owed = [layout.owed(key)[1] for key in blobs.keys(layout.pending(job_id))]
    done = [layout.outcome_epoch(key) for key in blobs.keys(f"{layout.job(job_id)}outcome")]
    epoch = max((epoch for epoch in [*owed, *done] if epoch is not None), default=None)
    if epoch is None:
        return None
    job = Job.from_manifest(Manifest.model_validate_json(document), epoch=epoch)
    outcome = read_outcome(blobs, job_id, epoch)
    if outcome is None:
        return job
    job = job.ended(outcome)
    return replace(job, state=JobState.EXPIRED) if _marked(blobs, layout.expired(job_id), epoch=epoch) else job


def restore(blobs: Blobs, store: Store, job_id: str, *, now: float) -> Job | None:
    """Puts a job that Redis does not know back into it, as S3 says. The job as it is then, None as for `recall`."""
    recalled = recall(blobs, job_id)
    if recalled is None:
        return None
    store.create(recalled)
    # It may have been deleted or have ended after we read, by somebody who found nothing in Redis to change.
    if is_deleted(blobs, job_id):
        store.forget(job_id)
        return None
    outcome = read_outcome(blobs, job_id, recalled.epoch)
    if outcome is not None:
        close(blobs, store, job_id, outcome)
    elif cancel_asked(blobs, recalled):
        return cancel(blobs, store, recalled, now=now)
    return store.get(job_id) or recalled


def expire(blobs: Blobs, store: Store, job_id: str, epoch: int) -> None:
    """Removes an ended job's pictures. The manifest and the outcomes stay, so that it is known to have been."""
    _mark(blobs, layout.expired(job_id), epoch=epoch)
    kept = {layout.manifest(job_id), layout.expired(job_id)}
    blobs.delete(key for key in blobs.keys(layout.job(job_id)) if key not in kept and layout.outcome_epoch(key) is None)
    store.expire(job_id)


def erase(blobs: Blobs, job_id: str) -> None:
    """The job and all its objects. The tombstone is written first, and stays."""
    blobs.put(layout.tombstone(job_id), b"")
    blobs.delete(blobs.keys(layout.pending(job_id)))
    blobs.delete(blobs.keys(layout.job(job_id)))


def _mark(blobs: Blobs, key: str, *, epoch: int) -> None:
    blobs.put(key, Pending(epoch=epoch).model_dump_json().encode(), content_type=JSON)


def _marked(blobs: Blobs, key: str, *, epoch: int) -> bool:
    mark = blobs.get(key)
    return mark is not None and Pending.model_validate_json(mark).epoch == epoch
