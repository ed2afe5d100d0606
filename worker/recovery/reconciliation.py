"""Compares `pending/` in S3 with Redis and corrects differences, after a wipe, a rollback or a crash.

Works on many jobs at a time; workers can claim each one as soon as it is restored. Skips and counts a job that cannot
be reconciled now; the next round tries it again.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import groupby, islice

import structlog
from ulid import ULID

from shared.clock import Clock
from shared.errors import DreamError, StorageUnavailable, StoreUnavailable
from shared.interfaces import JobStore, Notifier, ObjectStorage
from shared.jobs.job import Job, JobState
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys

log = structlog.get_logger(__name__)

AT_ONCE = 16  # S3 responds to this many concurrent requests as fast as to one
BATCH = 128  # jobs read from Redis in one round trip
WAKE_EVERY_S = 0.5
FAILURES = 48  # consecutive failures after which S3 counts as unavailable
UNACCEPTED_S = 3600.0  # the age at which a submission that is not accepted is given up; none takes that long


@dataclass
class Tally:
    """Counts the results of a reconciliation."""

    restored: int = 0
    skipped: int = 0
    failures: int = 0  # consecutive
    waiting: int = 0  # queued jobs restored since the last wake-up
    woken_at: float = field(default=float("-inf"))


class Reconciliation:
    """Reconciles Redis with S3. May be interrupted, repeated, or run by two processes at once."""

    def __init__(
        self, *, lifecycle: JobLifecycle, storage: ObjectStorage, store: JobStore, notifier: Notifier, clock: Clock
    ) -> None:
        self._lifecycle = lifecycle
        self._storage = storage
        self._store = store
        self._notifier = notifier
        self._clock = clock

    def run(self) -> Iterator[Tally]:
        """Reconciles all pending jobs; yields after each batch, so that the caller can do other work.

        Raises StoreUnavailable or StorageUnavailable.
        """
        tally = Tally()
        pending = groupby(self._storage.keys(object_keys.PENDING), lambda key: object_keys.parse_pending(key)[0])
        jobs = ((job_id, [object_keys.parse_pending(key)[1] for key in keys]) for job_id, keys in pending)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            while batch := list(islice(jobs, BATCH)):
                known = self._store.get_many([job_id for job_id, _ in batch])
                differing = [(job_id, counts) for job_id, counts in batch if _differs(known, job_id, counts)]
                list(pool.map(partial(self._shielded, tally, known), differing))  # raises the first error
                self._wake(tally)
                yield tally
        if tally.restored or tally.skipped:
            log.info("reconciliation_completed", restored=tally.restored, skipped=tally.skipped)

    def _shielded(self, tally: Tally, known: Mapping[str, Job], one: tuple[str, list[int]]) -> None:
        job_id, pending = one
        try:
            self._one(tally, job_id, pending, known.get(job_id))
        except StoreUnavailable:
            raise  # without Redis no job can be reconciled
        except DreamError as exc:
            tally.skipped += 1
            tally.failures += 1
            log.warning("job_skipped", job_id=job_id, reason=str(exc))
            if tally.failures >= FAILURES:
                raise StorageUnavailable from exc
        except ValueError:  # a document that this version cannot read
            log.exception("document_unreadable", job_id=job_id)
        else:
            tally.failures = 0

    def _one(self, tally: Tally, job_id: str, pending: list[int], known: Job | None) -> None:
        if known is None:
            self._restore(tally, job_id, pending)
            return
        for retry_count in pending:
            if retry_count > known.retry_count:
                self._catch_up(known, retry_count)
            elif retry_count < known.retry_count or known.state.is_terminal:
                self._close(job_id, retry_count)
            elif known.state is JobState.RUNNING and self._lifecycle.records.is_cancel_asked(job_id, retry_count):
                self._store.cancel(job_id, retry_count=retry_count)

    def _restore(self, tally: Tally, job_id: str, pending: list[int]) -> None:
        job = self._lifecycle.restore(job_id, now=self._clock.now(), pending=pending)
        if job is None:
            self._drop(job_id, pending)
            return
        log.info("job_restored", job_id=job_id, state=job.state)
        tally.restored += 1
        if job.state is JobState.QUEUED:
            tally.waiting += 1
            self._wake(tally)

    def _drop(self, job_id: str, pending: Iterable[int]) -> None:
        """Removes `pending` of a deleted job, and a submission that was given up or is too old to be accepted."""
        is_old = self._clock.now() - ULID.from_str(job_id).timestamp > UNACCEPTED_S
        if self._lifecycle.records.is_deleted(job_id):
            self._storage.delete([object_keys.pending(job_id, retry_count) for retry_count in pending])
        elif self._lifecycle.records.fate(job_id) == "void" or (is_old and self._lifecycle.give_up(job_id)):
            self._lifecycle.discard(job_id)

    def _catch_up(self, known: Job, retry_count: int) -> None:
        """Applies a retry that Redis lacks, after a rollback or after a crash before the retry reached Redis."""
        outcome = self._lifecycle.records.outcome(known.id, retry_count)
        if outcome is not None:
            self._lifecycle.close(known.id, outcome)
            return
        self._close(known.id, retry_count - 1)
        self._lifecycle.retry(replace(known, retry_count=retry_count - 1), now=self._clock.now())

    def _close(self, job_id: str, retry_count: int) -> None:
        outcome = self._lifecycle.records.outcome(job_id, retry_count)
        if outcome is not None:
            self._lifecycle.close(job_id, outcome)

    def _wake(self, tally: Tally) -> None:
        """Sends wake-ups immediately for the first job, then at most every WAKE_EVERY_S for all jobs restored since."""
        now = self._clock.monotonic()
        if tally.waiting and now - tally.woken_at >= WAKE_EVERY_S:
            waiting, tally.waiting, tally.woken_at = tally.waiting, 0, now
            self._notifier.notify_workers(min(waiting, AT_ONCE))


def _differs(known: Mapping[str, Job], job_id: str, pending: list[int]) -> bool:
    """Returns True if the job must be compared in detail.

    That includes every running job: it may have a durable cancel that Redis and so its worker do not know of.
    """
    job = known.get(job_id)
    return job is None or pending != [job.retry_count] or job.state.is_terminal or job.state is JobState.RUNNING
