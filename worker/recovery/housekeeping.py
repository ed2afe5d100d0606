"""Walks slowly over all objects in S3: restores ended jobs to a wiped Redis and removes objects no longer needed.

A job may change between the walk's listing and the removal, and a frozen process makes that interval arbitrarily long.
So the walk removes only objects whose fate is final: those of a deleted job, of a submission that was given up and of
attempts that lost, and the images of an expired job.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import structlog
from ulid import ULID

from shared.clock import Clock
from shared.errors import UnfitService
from shared.interfaces import JobStore, ObjectStorage
from shared.jobs.job import Job, JobState
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from shared.s3.job_records import leftovers
from shared.settings import Settings
from worker.recovery.reconciliation import UNACCEPTED_S

log = structlog.get_logger(__name__)

WALK_EVERY_S = 3600.0
VOID_KEPT_S = object_keys.DAY_S  # how long a void manifest keeps a submission from being accepted late
KEPT_S = {
    object_keys.UPLOADS: object_keys.UPLOADS_KEPT_S,
    object_keys.IDEMPOTENCY: object_keys.IDEMPOTENCY_KEPT_S,
}  # seconds; not read after that
BATCH = 1000  # the most keys that S3 deletes in one request


class Housekeeping:
    """Does the walk. It may be interrupted, repeated, or run by two processes at once."""

    def __init__(
        self, *, lifecycle: JobLifecycle, store: JobStore, storage: ObjectStorage, clock: Clock, settings: Settings
    ) -> None:
        self._lifecycle = lifecycle
        self._store = store
        self._storage = storage
        self._clock = clock
        self._settings = settings
        self._walk: Iterator[None] | None = None
        self._due_at = clock.monotonic()

    def start_over(self) -> None:
        """Starts a new walk at the next call of `go_on`, because Redis has lost data."""
        self._walk, self._due_at = None, self._clock.monotonic()

    def go_on(self, *, for_s: float) -> None:
        """Continues the walk, if one is due, for about `for_s` seconds.

        Raises the errors of Redis and S3; the walk then starts over at the next reconciliation interval.
        """
        now = self._clock.monotonic()
        if self._walk is None:
            if now < self._due_at:
                return
            self._walk, self._due_at = self._steps(), now + WALK_EVERY_S
        walk, self._walk = self._walk, None
        try:
            for _ in walk:
                if self._clock.monotonic() - now >= for_s:
                    self._walk = walk
                    return
        except BaseException:
            self._due_at = now + self._settings.reconcile_interval_s
            raise

    def _steps(self) -> Iterator[None]:
        deleted = {key.removeprefix(object_keys.DELETED) for key in self._storage.keys(object_keys.DELETED)}
        for job_id in deleted:
            if self._store.get(job_id) is not None:  # Redis was rolled back to a time before the delete
                self._store.forget(job_id)
            yield
        for prefix, kept_s in KEPT_S.items():
            old = self._storage.keys_before(prefix, self._clock.now() - kept_s)
            while batch := list(islice(old, BATCH)):
                self._storage.delete(batch)
                log.info("old_objects_swept", prefix=prefix, objects=len(batch))
                yield
        yield from self._unfinished_uploads()
        for job_id, keys in groupby(self._storage.keys(object_keys.JOBS), lambda key: key.split("/")[1]):
            try:
                self._one(job_id, list(keys), is_deleted=job_id in deleted)
            except ValueError:  # a document that this version cannot read
                log.exception("document_unreadable", job_id=job_id)
            yield

    def _unfinished_uploads(self) -> Iterator[None]:
        """Aborts uploads by parts that nobody finished in a day, and copies in parts that a crash left."""
        before = self._clock.now() - object_keys.UPLOADS_KEPT_S
        for prefix in (object_keys.UPLOADS, object_keys.JOBS):
            try:
                for key, upload in self._storage.unfinished(prefix, before):
                    self._storage.abort_parts(key, upload)
                    log.info("unfinished_upload_aborted", key=key)
                    yield
            except UnfitService:  # the store has no uploads by parts
                return

    def _one(self, job_id: str, keys: Sequence[str], *, is_deleted: bool) -> None:
        if is_deleted:
            self._lifecycle.delete(job_id)
        elif any(object_keys.outcome_retry_count(key) is not None for key in keys):
            self._ended(job_id, keys)
        elif self._clock.now() - ULID.from_str(job_id).timestamp > UNACCEPTED_S:
            self._unaccepted(job_id, keys)

    def _unaccepted(self, job_id: str, keys: Sequence[str]) -> None:
        """Gives up a submission that was never accepted and removes its objects; leaves an accepted job alone."""
        if not self._lifecycle.give_up(job_id):
            return
        manifest = object_keys.manifest(job_id)
        rest = [key for key in keys if key != manifest]
        if rest:
            log.info("unaccepted_job_swept", job_id=job_id)
            self._lifecycle.discard(job_id)
            self._storage.delete(rest)
        elif list(self._storage.keys_before(manifest, self._clock.now() - VOID_KEPT_S)):
            self._storage.delete([manifest])

    def _ended(self, job_id: str, keys: Sequence[str]) -> None:
        known = self._store.get(job_id)
        if known is None:
            known = self._lifecycle.restore(job_id, now=self._clock.now())
        elif (
            known.retry_count < max(object_keys.outcome_retry_count(key) or 0 for key in keys)
            or not known.state.is_terminal
        ):
            known = self._catch_up(known)
        if known is None or not known.state.is_terminal:
            return
        if self._is_past_retention(known):
            if self._lifecycle.expire(known):
                log.info("job_expired", job_id=job_id)
        elif rest := leftovers(job_id, known, keys, now=self._clock.now()):
            self._sweep(job_id, rest)

    def _catch_up(self, known: Job) -> Job | None:
        """Applies the latest outcome to a rolled-back Redis, unless the job is pending and gets another outcome."""
        if self._lifecycle.records.pending_retries(known.id):
            return known
        job = self._lifecycle.records.recall(known.id)
        outcome = self._lifecycle.records.outcome(known.id, job.retry_count) if job else None
        return self._store.finish(known.id, outcome) if outcome else known

    def _sweep(self, job_id: str, rest: Sequence[str]) -> None:
        """Removes a settled job's leftovers.

        Reads the job again after its keys were listed, so that none of them can belong to a later retry.
        """
        settled = self._lifecycle.records.recall(job_id)
        if settled is not None and settled.state.is_terminal:
            self._storage.delete(leftovers(job_id, settled, rest, now=self._clock.now()))
            log.info("leftovers_swept", job_id=job_id)

    def _is_past_retention(self, job: Job) -> bool:
        days = self._settings.retention_days
        if days is None or job.finished_at is None or job.state is JobState.EXPIRED:
            return False
        return self._clock.now() - job.finished_at > days * object_keys.DAY_S
