"""What is owed and what is done, as S3 holds it: a job is accepted once and settled once, whatever happens to Redis."""

from typing import BinaryIO

from shared import layout
from shared.jobs import Job, JobState, Manifest, Outcome, Pending
from shared.ports import Blobs, Store

JSON = "application/json"


def accept(blobs: Blobs, manifest: Manifest, image: BinaryIO) -> None:
    """Makes the job durable; from `pending` on it is owed an outcome, also if we die before Redis hears of it."""
    blobs.put(layout.image(manifest.id), image, content_type=f"image/{manifest.input.format}")
    blobs.put(layout.manifest(manifest.id), manifest.model_dump_json().encode(), content_type=JSON, if_absent=True)
    blobs.put(layout.pending(manifest.id), Pending().model_dump_json().encode(), content_type=JSON)


def reopen(blobs: Blobs, job: Job) -> int:
    """A failed job is owed another outcome: the next epoch. Returns it."""
    epoch = job.epoch + 1
    blobs.delete([layout.cancel(job.id)])
    blobs.put(layout.pending(job.id), Pending(epoch=epoch).model_dump_json().encode(), content_type=JSON)
    return epoch


def ask_to_cancel(blobs: Blobs, job: Job) -> None:
    """Durable before it is answered: heard also after Redis was wiped."""
    blobs.put(layout.cancel(job.id), Pending(epoch=job.epoch).model_dump_json().encode(), content_type=JSON)


def cancel_asked(blobs: Blobs, job: Job) -> bool:
    asked = blobs.get(layout.cancel(job.id))
    return asked is not None and Pending.model_validate_json(asked).epoch == job.epoch


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
    return outcome


def close(blobs: Blobs, store: Store, job_id: str, outcome: Outcome) -> None:
    """Lets Redis and `pending` know of a written outcome."""
    store.finish(job_id, outcome)
    blobs.delete([layout.pending(job_id)])


def sweep(blobs: Blobs, job_id: str, outcome: Outcome) -> None:
    """Removes what no reader of the settled job needs: losers' outputs, and checkpoints unless it may be retried."""
    blobs.delete(
        key
        for key in blobs.keys(layout.attempts(job_id))
        if outcome.claim is None or not key.startswith(f"{layout.attempts(job_id)}{outcome.claim}/")
    )
    if outcome.state is not JobState.FAILED:
        blobs.delete(blobs.keys(layout.checkpoints(job_id)))


def recall(blobs: Blobs, job_id: str) -> Job | None:
    """The job as S3 knows it, waiting or as its last outcome says; None if it is deleted or unknown."""
    document = blobs.get(layout.manifest(job_id))
    if document is None or is_deleted(blobs, job_id):
        return None
    manifest = Manifest.model_validate_json(document)
    pending = blobs.get(layout.pending(job_id))
    if pending is not None:
        epoch = Pending.model_validate_json(pending).epoch
    else:
        epoch = sum(key.startswith(f"{layout.job(job_id)}outcome") for key in blobs.keys(layout.job(job_id))) - 1
        if epoch < 0:
            return None  # its submission was never answered
    return Job.from_manifest(manifest, epoch=epoch, outcome=read_outcome(blobs, job_id, epoch))


def erase(blobs: Blobs, job_id: str) -> None:
    """The job and all its objects. The tombstone is written first, and stays."""
    blobs.put(layout.tombstone(job_id), b"")
    blobs.delete([layout.pending(job_id)])
    blobs.delete(blobs.keys(layout.job(job_id)))
