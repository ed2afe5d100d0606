"""Compares what S3 owes with what Redis knows, and puts right what differs: after a wipe, a rollback or a crash.

Many jobs at a time, each available to the workers at once. What can't be done now is skipped and counted: the next
round does it.
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
from shared.jobs import Job, JobState
from shared.lifecycle import JobLifecycle
from shared.s3 import object_keys

log = structlog.get_logger(__name__)

AT_ONCE = 16  # S3 answers so many at a time as fast as one
BATCH = 128  # jobs that Redis is asked about in one round trip
WAKE_EVERY_S = 0.5
FAILURES = 48  # in a row, until S3 counts as unavailable altogether
UNACCEPTED_S = 3600.0  # no submission takes that long: what is not accepted by then never will be


@dataclass
class Tally:
    """How a reconciliation went."""

    restored: int = 0
    skipped: int = 0
    failures: int = 0  # in a row
    waiting: int = 0  # restored since workers were last woken
    woken_at: float = field(default=float("-inf"))


class Reconciliation:
    """May be interrupted, repeated, or done by two at once."""

    def __init__(
        self, *, lifecycle: JobLifecycle, storage: ObjectStorage, store: JobStore, notifier: Notifier, clock: Clock
    ) -> None:
        self._lifecycle = lifecycle
        self._storage = storage
        self._store = store
        self._notifier = notifier
        self._clock = clock

    def run(self) -> Iterator[Tally]:
        """Yields after each batch, so that the caller can do other work.

        Raises StoreUnavailable or StorageUnavailable.
        """
        tally = Tally()
        owed = groupby(self._storage.keys(object_keys.PENDING), lambda key: object_keys.owed(key)[0])
        jobs = ((job_id, [object_keys.owed(key)[1] for key in keys]) for job_id, keys in owed)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            while batch := list(islice(jobs, BATCH)):
                known = self._store.get_many([job_id for job_id, _ in batch])
                differing = [(job_id, counts) for job_id, counts in batch if _differs(known, job_id, counts)]
                list(pool.map(partial(self._shielded, tally, known), differing))  # raises what they raise
                self._wake(tally)
                yield tally
        if tally.restored or tally.skipped:
            log.info("reconciled", restored=tally.restored, skipped=tally.skipped)

    def _shielded(self, tally: Tally, known: Mapping[str, Job], one: tuple[str, list[int]]) -> None:
        job_id, owed = one
        try:
            self._one(tally, job_id, owed, known.get(job_id))
        except StoreUnavailable:
            raise  # without Redis nothing of this can be done
        except DreamError as exc:
            tally.skipped += 1
            tally.failures += 1
            log.warning("job_skipped", job_id=job_id, reason=str(exc))
            if tally.failures >= FAILURES:
                raise StorageUnavailable from exc
        except ValueError:  # a document that this version can't read
            log.exception("document_unreadable", job_id=job_id)
        else:
            tally.failures = 0

    def _one(self, tally: Tally, job_id: str, owed: list[int], known: Job | None) -> None:
        if known is None:
            self._restore(tally, job_id, owed)
            return
        for retry_count in owed:
            if retry_count > known.retry_count:
                self._catch_up(known, retry_count)
            elif retry_count < known.retry_count or known.state.is_terminal:
                self._close(job_id, retry_count)
            elif known.state is JobState.RUNNING and self._lifecycle.records.is_cancel_asked(job_id, retry_count):
                self._store.cancel(job_id, retry_count=retry_count)

    def _restore(self, tally: Tally, job_id: str, owed: list[int]) -> None:
        job = self._lifecycle.restore(job_id, now=self._clock.now(), owed=owed)
        if job is None:
            self._drop(job_id, owed)
            return
        log.info("job_restored", job_id=job_id, state=job.state)
        tally.restored += 1
        if job.state is JobState.QUEUED:
            tally.waiting += 1
            self._wake(tally)

    def _drop(self, job_id: str, owed: Iterable[int]) -> None:
        """What is owed to a job that is deleted, or to a submission that was given up or is too old to be accepted."""
        is_old = self._clock.now() - ULID.from_str(job_id).timestamp > UNACCEPTED_S
        if self._lifecycle.records.is_deleted(job_id):
            self._storage.delete([object_keys.pending(job_id, retry_count) for retry_count in owed])
        elif self._lifecycle.records.fate(job_id) == "void" or (is_old and self._lifecycle.give_up(job_id)):
            self._lifecycle.discard(job_id)

    def _catch_up(self, known: Job, retry_count: int) -> None:
        """Redis is a retry behind: it was rolled back, or the retry died before it got there."""
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
        """At once for the first job, then for all that have come since; more would only be noise."""
        now = self._clock.monotonic()
        if tally.waiting and now - tally.woken_at >= WAKE_EVERY_S:
            waiting, tally.waiting, tally.woken_at = tally.waiting, 0, now
            self._notifier.notify_workers(min(waiting, AT_ONCE))


def _differs(known: Mapping[str, Job], job_id: str, owed: list[int]) -> bool:
    """Whether more than this listing is needed. A running job may have a cancel that its worker never heard of."""
    job = known.get(job_id)
    return job is None or owed != [job.retry_count] or job.state.is_terminal or job.state is JobState.RUNNING
