"""Changes a job in S3, in Redis and for subscribers, in the one order that survives a crash.

S3 is authoritative and Redis is a view of it: a change is durable in S3 before Redis shows it, and Redis shows it
before a worker is woken. Three objects are written conditionally, so that exactly one of two conflicting writers wins:
the manifest (accepted or given up), the outcome (how the job ended at one `retry_count`) and the sequel (retried or
expired). No key is used a second time.

Every method is idempotent: any process may repeat it after a crash at any point, and the repeated call completes the
interrupted one. A lost response to a conditional write does no harm either, since the winning object is read back.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import BinaryIO

from shared.errors import ClaimLost, JobNotFound, ResultExpired, StoreUnavailable
from shared.interfaces import UNLIMITED
from shared.jobs.acceptance import JSON, Acceptance
from shared.jobs.job import Job, JobName, JobState, Manifest, Outcome
from shared.s3 import object_keys
from shared.s3.job_records import Sequel, Step, leftovers
from shared.webhooks import delivery

ACKNOWLEDGE_TRIES = 3
RETRYABLE = frozenset({JobState.FAILED, JobState.CANCELED})


class JobLifecycle(Acceptance):
    """Applies every change of a job.

    Every method that does not say otherwise raises StorageUnavailable or StoreUnavailable (both retryable).
    """

    def claim(self, worker: str, models: Sequence[str], *, lease_s: float, max_running: int = UNLIMITED) -> Job | None:
        """Claims and acknowledges the next waiting job; None when no job waits or the claim was lost at once.

        lease_s: seconds.   max_running: see JobStore.
        Order: the claim, then its first renewal, which confirms to Redis that the claim has reached the worker. Only
        after that may the expiry of its lease count as a death.
        """
        job = self._store.claim(worker, models, lease_s=lease_s, max_running=max_running)
        return job if job and self._acknowledge(job, lease_s) else None

    def queue_started(self, job: Job, *, now: float) -> None:
        """Queues the webhook for the job's start: after the claim, and before any step that could fail.

        now: Unix time, seconds.
        """
        started_at = now if job.started_at is None else job.started_at
        delivery.queue_started(self._storage, job.id, retry_count=job.retry_count, started_at=started_at)

    def checkpoint(self, job: Job, key: str, file: BinaryIO, superseded: Sequence[str]) -> None:
        """Stores a checkpoint and deletes the superseded ones. Raises ClaimLost.

        Order: S3, Redis, the deletion. Redis resets deaths to 0 only once another attempt would find the checkpoint.
        """
        self._storage.put(key, file)
        self._store.checkpoint_stored(job)
        self._storage.delete(superseded)

    def release(self, job: Job, *, now: float, died: bool = False) -> Job:
        """Returns a claimed job to the queue, or ends it if it is being canceled. Raises ClaimLost.

        died: counts the release as a death.
        """
        released = self._store.release(job, died=died)
        if released.state is JobState.CANCELING:
            self.settle(job.id, _canceled(released, now))
        else:
            self._notifier.notify_workers()
        return released

    def settle(self, job_id: str, outcome: Outcome) -> Outcome:
        """Ends the job at the outcome's `retry_count`. Returns the outcome that counts: the first one written.

        Order: the check for a cancel mark, because a durable cancel takes precedence over any other outcome; the
        outcome, which is the commit; then the steps of `close`. If the job is deleted meanwhile, the later of the two
        callers cleans up.
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
        """Applies an outcome that S3 already has.

        Order: the webhook, Redis, and `pending` last, because reconciliation finds an interrupted close by `pending`.
        """
        delivery.queue_completed(self._storage, job_id, outcome)
        self._store.finish(job_id, outcome)
        self._storage.delete([object_keys.pending(job_id, outcome.retry_count)])

    def sweep(self, job_id: str, outcome: Outcome) -> None:
        """Removes the outputs of attempts that lost and the checkpoints of a settled job.

        Keeps everything of a failed or canceled job: its checkpoints, since it may be retried, and its outputs, since
        by now they may be the retry's. Housekeeping removes those, and each attempt that lost removes its own.
        """
        if outcome.state is JobState.SUCCEEDED:
            keys = self.records.keys(job_id)
            self._storage.delete(leftovers(job_id, outcome, keys, now=outcome.finished_at))

    def cancel(self, job: Job, *, now: float) -> Job:
        """Cancels the job at its `retry_count`: ends a waiting one, asks a running one to stop. Returns the job then.

        now: Unix time, seconds.
        Order: the durable cancel mark, Redis, the outcome. From the mark on every attempt ends as canceled, even if
        Redis is wiped before the worker learns of the cancel.
        """
        self._mark(object_keys.cancel(job.id, job.retry_count), job.retry_count)
        known = self._store.cancel(job.id, retry_count=job.retry_count) or job
        if known.state is JobState.QUEUED and known.retry_count == job.retry_count:
            settled = self.settle(job.id, _canceled(known, now))
            known = self._store.get(job.id) or known.ended(settled)
        return known

    def retry(self, job: Job, *, now: float) -> Job:
        """Queues a failed or canceled job again, with the deadline that `job` has.

        now: when the retry was asked for, Unix time, seconds.
        Raises ResultExpired or JobNotFound when retention or a delete came first.
        Order: `pending` of the next retry; the sequel, which rules out expiry and fixes the deadline; Redis; a wake-up.
        A retry that loses against a delete removes its own `pending`, because the delete did not see it. One that has
        ended already, which a rolled-back Redis does not know, is not marked as pending again: its webhook would be
        sent again, perhaps months later. If it had ended before `now`, the caller asks for the retry after it.
        """
        retry_count = job.retry_count + 1
        if self.records.outcome(job.id, retry_count) is None:
            self._mark(object_keys.pending(job.id, retry_count), retry_count)
        sequel = self._decide_sequel(job, "retry")
        if sequel.step == "expired":
            self._storage.delete([object_keys.pending(job.id, retry_count)])
            raise ResultExpired
        if self.records.is_deleted(job.id):
            self.delete(job.id)
            raise JobNotFound
        outcome = self.records.outcome(job.id, retry_count)
        if outcome is not None:  # an earlier request queued this retry, and it has already ended
            self.close(job.id, outcome)
            if outcome.finished_at < now and outcome.state in RETRYABLE:
                return self.retry(replace(job, retry_count=retry_count), now=now)
        known = self._store.retry(job.id, retry_count=retry_count, deadline_at=sequel.deadline_at)
        known = known or self.restore(job.id, now=now)
        with contextlib.suppress(StoreUnavailable):  # the caretaker sends the wake-up
            self._notifier.notify_workers()
        if known is not None and known.retry_count >= retry_count:
            return known
        # Redis has lost the job, or was rolled back to a time before an earlier retry: reconciliation corrects it.
        accepted = Job.from_manifest(self._accepted(job.id), retry_count=retry_count)
        return replace(accepted, deadline_at=sequel.deadline_at)

    def rename(self, job: Job, name: str | None) -> Job:
        """Renames the job, or removes its name. Returns the renamed job. Raises JobNotFound when a delete came first.

        Order: the document, which outweighs the manifest, then Redis. A rename that lost against a delete cleans up; of
        two renames at once the last document counts.
        """
        document = JobName(name=name).model_dump_json().encode()
        self._storage.put(object_keys.name(job.id), document, content_type=JSON)
        if self.records.is_deleted(job.id):
            self.delete(job.id)
            raise JobNotFound
        renamed = self._store.rename(job.id, name)
        # Of two renames at once, the one that reaches Redis last may not be the one that S3 has kept.
        while (kept := self.records.name(job.id, {object_keys.name(job.id)}, otherwise=name)) != name:
            name, renamed = kept, self._store.rename(job.id, kept)
        return renamed or replace(job, name=name)

    def delete(self, job_id: str) -> None:
        """Removes the job permanently.

        Order: the tombstone, which stays and which every process respects; `pending`, so that no rebuild finds the
        job; the manifest, without which it is not a job; all other objects; Redis.
        """
        self._storage.put(object_keys.tombstone(job_id), b"")
        self._storage.delete(self._storage.keys(object_keys.pending(job_id)))
        self._storage.delete([object_keys.manifest(job_id)])
        self._storage.delete(self._storage.keys(object_keys.job(job_id)))
        self._store.forget(job_id)

    def expire(self, job: Job) -> bool:
        """Removes an ended job's images, unless it was retried. Returns True if it is expired.

        Order: the sequel, which rules out a retry; the images; Redis. The documents stay.
        """
        if self._decide_sequel(job, "expired").step == "retry":
            return False
        expired = replace(job, state=JobState.EXPIRED)
        self._storage.delete(leftovers(job.id, expired, self.records.keys(job.id), now=job.finished_at or 0))
        self._store.expire(job.id, retry_count=job.retry_count)
        return True

    def restore(self, job_id: str, *, now: float, pending: Sequence[int] | None = None) -> Job | None:
        """Restores a job that is missing in Redis from S3. None if it is deleted or was never accepted.

        now: Unix time, seconds.   pending: the job's `retry_count`s in `pending/`, if the caller has listed them.
        Order: Redis, then S3 again: a change made before Redis knew the job had no effect there, so it is applied now.
        """
        job = self.records.recall(job_id) if pending is None else self._recall_pending(job_id, pending)
        if job is None or not self._introduce(job):
            return None
        keys = self.records.keys(job_id)
        if object_keys.name(job_id) in keys:
            self._store.rename(job_id, self.records.name(job_id, keys, otherwise=job.name))
        outcome = (
            self.records.outcome(job_id, job.retry_count)
            if object_keys.outcome(job_id, job.retry_count) in keys
            else None
        )
        if outcome is not None and (pending is not None or not job.state.is_terminal):
            self.close(job_id, outcome)
        elif outcome is None and object_keys.cancel(job_id, job.retry_count) in keys:
            return self.cancel(job, now=now)
        return self._store.get(job_id) or job

    # --- steps ---

    def _acknowledge(self, job: Job, lease_s: float) -> bool:
        """Confirms the claim by renewing its lease; False when the claim was lost.

        Repeats the renewal after a lost response, since the first one may have taken effect.
        """
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

    def _recall_pending(self, job_id: str, pending: Sequence[int]) -> Job | None:
        """Returns the job as accepted. Does not read outcomes unless it was retried: it has hardly ever ended."""
        manifest = self.records.manifest(job_id)
        if manifest is None:
            return None
        return Job.from_manifest(manifest, retry_count=0) if max(pending) == 0 else self.records.recall(job_id)

    def _accepted(self, job_id: str) -> Manifest:
        manifest = self.records.manifest(job_id)
        if manifest is None:
            raise JobNotFound
        return manifest

    def _decide_sequel(self, job: Job, step: Step) -> Sequel:
        sequel = Sequel(step=step, deadline_at=job.deadline_at if step == "retry" else None)
        place, document = object_keys.sequel(job.id, job.retry_count), sequel.model_dump_json().encode()
        if self._storage.put(place, document, content_type=JSON, if_absent=True):
            return sequel
        return self.records.sequel(job.id, job.retry_count) or sequel


def _canceled(job: Job, now: float) -> Outcome:
    return Outcome(
        retry_count=job.retry_count,
        state=JobState.CANCELED,
        finished_at=now,
        started_at=job.started_at,
        attempt=job.attempt,
    )
