"""Every change of a job: in S3, in Redis and for those who listen, in the one order that survives a crash.

S3 decides and Redis shows: a change is durable before Redis shows it, and Redis shows it before a worker is woken.
Three objects decide by a conditional write, so that of two who disagree one always wins: the manifest (accepted or
given up), the outcome (how a retry ended) and the sequel (retried or expired). No name is used a second time.

Every method may be repeated, by anyone, after a crash at any point: what was left undone is done then. A lost answer to
a conditional write is no matter either, since the winner is read back.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

from shared.acceptance import JSON, Acceptance
from shared.errors import ClaimLost, JobNotFound, ResultExpired, StoreUnavailable
from shared.jobs import Job, JobState, Manifest, Outcome
from shared.s3 import object_keys
from shared.s3.job_records import Sequel, Step, leftovers
from shared.webhooks import delivery

ACKNOWLEDGE_TRIES = 3


class JobLifecycle(Acceptance):
    """Raises StorageUnavailable or StoreUnavailable (both retryable) from every method that does not say otherwise."""

    def claim(self, worker: str, models: Sequence[str], *, lease_s: float) -> Job | None:
        """The next waiting job, acknowledged; None when nothing waits, or the claim was lost at once.

        Order: the claim, then its first renewal, which tells Redis that the claim has arrived. Only after that may its
        lapse count as a death.
        """
        job = self._store.claim(worker, models, lease_s=lease_s)
        return job if job and self._acknowledge(job, lease_s) else None

    def begin(self, job: Job, *, now: float) -> None:
        """Owes the message that the job has started: after the claim, and before anything that could fail."""
        started_at = now if job.started_at is None else job.started_at
        delivery.owe_started(self._storage, job.id, retry_count=job.retry_count, started_at=started_at)

    def checkpoint(self, job: Job, key: str, file: BinaryIO, superseded: Sequence[str]) -> None:
        """Stores a checkpoint. Raises ClaimLost.

        Order: S3, Redis, then the superseded ones go: deaths start from 0 only once another attempt would find it.
        """
        self._storage.put(key, file)
        self._store.checkpoint_stored(job)
        self._storage.delete(superseded)

    def release(self, job: Job, *, now: float, died: bool = False) -> Job:
        """Gives a claimed job back to the queue, or ends it if it is being canceled. Raises ClaimLost."""
        released = self._store.release(job, died=died)
        if released.state is JobState.CANCELING:
            self.settle(job.id, _canceled(released, now))
        else:
            self._notifier.notify_workers()
        return released

    def settle(self, job_id: str, outcome: Outcome) -> Outcome:
        """Ends a retry of the job. Returns the outcome that counts: the first one written.

        Order: a durable cancel outweighs any other outcome, so it is asked for first; then the outcome, THE commit;
        then what `close` does. A delete may have come in between: of the two, whoever is later cleans up.
        """
        canceled = outcome.state is not JobState.CANCELED and self.records.is_cancel_asked(job_id, outcome.retry_count)
        if canceled:
            outcome = outcome.model_copy(update={"state": JobState.CANCELED, "claim": None, "error": None})
        document = outcome.model_dump_json().encode()
        place = object_keys.outcome(job_id, outcome.retry_count)
        if not self._storage.put(place, document, content_type=JSON, if_absent=True):
            outcome = self.records.outcome(job_id, outcome.retry_count) or outcome
        self.close(job_id, outcome)
        if self.records.is_deleted(job_id):
            self.delete(job_id)
        return outcome

    def close(self, job_id: str, outcome: Outcome) -> None:
        """Carries out a written outcome.

        Order: the message that is owed to the owner, Redis, and `pending` last, since it is what finds a crash here.
        """
        delivery.owe_completed(self._storage, job_id, outcome)
        self._store.finish(job_id, outcome)
        self._storage.delete([object_keys.pending(job_id, outcome.retry_count)])

    def sweep(self, job_id: str, outcome: Outcome) -> None:
        """Removes losers' outputs and checkpoints of a settled job.

        A failed job keeps its checkpoints, since it may be retried, and its outputs, which by now may be the retry's:
        housekeeping removes those, and each loser its own.
        """
        if outcome.state is not JobState.FAILED:
            self._storage.delete(leftovers(job_id, outcome, self.records.keys(job_id)))

    def cancel(self, job: Job, *, now: float) -> Job:
        """Cancels that retry of the job: a waiting one ends here, a running one stops soon. The job as it is then.

        Order: the durable mark, Redis, the outcome. From the mark on no attempt can settle otherwise, also if Redis is
        wiped before the worker hears of it.
        """
        self._mark(object_keys.cancel(job.id, job.retry_count), job.retry_count)
        known = self._store.cancel(job.id, retry_count=job.retry_count) or job
        if known.state is JobState.QUEUED and known.retry_count == job.retry_count:
            settled = self.settle(job.id, _canceled(known, now))
            known = self._store.get(job.id) or known.ended(settled)
        return known

    def retry(self, job: Job, *, now: float) -> Job:
        """Queues a failed job again. Raises ResultExpired or JobNotFound when retention or a delete was faster.

        Order: `pending` of the next retry, the sequel, which decides against expiry, Redis, a wake-up. A retry that
        lost against a delete removes its `pending`, which the delete did not see.
        """
        retry_count = job.retry_count + 1
        self._mark(object_keys.pending(job.id, retry_count), retry_count)
        if self._decide_sequel(job, "retry") == "expired":
            self._storage.delete([object_keys.pending(job.id, retry_count)])
            raise ResultExpired
        if self.records.is_deleted(job.id):
            self.delete(job.id)
            raise JobNotFound
        outcome = self.records.outcome(job.id, retry_count)
        if outcome is not None:  # somebody else's retry has ended before this one got here
            self.close(job.id, outcome)
        known = self._store.retry(job.id, retry_count=retry_count) or self.restore(job.id, now=now)
        with contextlib.suppress(StoreUnavailable):  # the caretaker sends the wake-up
            self._notifier.notify_workers()
        return known or Job.from_manifest(self._accepted(job.id), retry_count=retry_count)

    def delete(self, job_id: str) -> None:
        """Removes the job for good.

        Order: the tombstone, which stays and which everybody obeys; `pending`, so that no rebuild finds it; the
        manifest, without which it is no job; the rest; Redis.
        """
        self._storage.put(object_keys.tombstone(job_id), b"")
        self._storage.delete(self._storage.keys(object_keys.pending(job_id)))
        self._storage.delete([object_keys.manifest(job_id)])
        self._storage.delete(self._storage.keys(object_keys.job(job_id)))
        self._store.forget(job_id)

    def expire(self, job: Job) -> bool:
        """Removes an ended job's pictures, unless it is retried. True if it is expired.

        Order: the sequel, which decides against a retry, the pictures, Redis. The documents stay.
        """
        if self._decide_sequel(job, "expired") == "retry":
            return False
        expired = replace(job, state=JobState.EXPIRED)
        self._storage.delete(leftovers(job.id, expired, self.records.keys(job.id)))
        self._store.expire(job.id, retry_count=job.retry_count)
        return True

    def restore(self, job_id: str, *, now: float, owed: Sequence[int] | None = None) -> Job | None:
        """Puts a job that Redis doesn't know back into it, as S3 has it. None if it is deleted or was never accepted.

        owed: its retries in `pending/`, where the caller has listed them.
        Order: Redis, then S3 again: what happened before Redis knew the job changed nothing there, so it is done now.
        """
        job = self.records.recall(job_id) if owed is None else self._owed(job_id, owed)
        if job is None or not self._introduce(job):
            return None
        keys = self.records.keys(job_id)
        outcome = (
            self.records.outcome(job_id, job.retry_count)
            if object_keys.outcome(job_id, job.retry_count) in keys
            else None
        )
        if outcome is not None and (owed is not None or not job.state.is_terminal):
            self.close(job_id, outcome)
        elif outcome is None and object_keys.cancel(job_id, job.retry_count) in keys:
            return self.cancel(job, now=now)
        return self._store.get(job_id) or job

    # --- steps ---

    def _acknowledge(self, job: Job, lease_s: float) -> bool:
        """False when the claim was lost. Asked again for a lost answer, since the renewal may have arrived."""
        for _ in range(ACKNOWLEDGE_TRIES - 1):
            with contextlib.suppress(StoreUnavailable):
                return self._renew(job, lease_s)
        return self._renew(job, lease_s)

    def _renew(self, job: Job, lease_s: float) -> bool:
        try:
            self._store.renew(job, lease_s=lease_s)
        except (ClaimLost, JobNotFound):
            return False
        return True

    def _owed(self, job_id: str, owed: Sequence[int]) -> Job | None:
        """The job as accepted, without a look at how it may have ended: nearly always it has not."""
        manifest = self.records.manifest(job_id)
        if manifest is None:
            return None
        return Job.from_manifest(manifest, retry_count=0) if max(owed) == 0 else self.records.recall(job_id)

    def _accepted(self, job_id: str) -> Manifest:
        manifest = self.records.manifest(job_id)
        if manifest is None:
            raise JobNotFound
        return manifest

    def _decide_sequel(self, job: Job, step: Step) -> Step:
        place, document = object_keys.sequel(job.id, job.retry_count), Sequel(step=step).model_dump_json().encode()
        if self._storage.put(place, document, content_type=JSON, if_absent=True):
            return step
        return self.records.sequel(job.id, job.retry_count) or step


def _canceled(job: Job, now: float) -> Outcome:
    return Outcome(
        retry_count=job.retry_count,
        state=JobState.CANCELED,
        finished_at=now,
        started_at=job.started_at,
        attempt=job.attempt,
    )
