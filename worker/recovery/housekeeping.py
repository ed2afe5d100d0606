"""A slow walk over all that S3 holds: puts ended jobs back into a wiped Redis, removes what nobody needs any more."""

from collections.abc import Iterator, Sequence
from itertools import groupby, islice

import structlog
from ulid import ULID

from shared import lifecycle
from shared.clock import Clock
from shared.interfaces import JobStore, ObjectStorage
from shared.jobs import Job, JobState
from shared.s3 import object_keys
from shared.settings import Settings

log = structlog.get_logger(__name__)

WALK_EVERY_S = 3600.0
UNACCEPTED_S = 3600.0  # no submission takes that long; what is older and not pending was never accepted
KEPT_S = {
    object_keys.UPLOADS: object_keys.UPLOADS_KEPT_S,
    object_keys.IDEMPOTENCY: object_keys.IDEMPOTENCY_KEPT_S,
}  # nobody asks later
BATCH = 1000  # S3 deletes so many at once


class Housekeeping:
    """May be interrupted, repeated, or done by two at once."""

    def __init__(self, *, store: JobStore, storage: ObjectStorage, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._storage = storage
        self._clock = clock
        self._settings = settings
        self._walk: Iterator[None] | None = None
        self._due_at = clock.monotonic()

    def start_over(self) -> None:
        """Redis has lost something: do not wait for the hour."""
        self._walk, self._due_at = None, self._clock.monotonic()

    def go_on(self, *, for_s: float) -> None:
        """A stretch of the walk, if one is due. Raises what Redis or S3 raise; it starts over then."""
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
            if self._store.get(job_id) is not None:  # Redis was rolled back behind the delete
                self._store.forget(job_id)
            yield
        for prefix, kept_s in KEPT_S.items():
            old = self._storage.keys_before(prefix, self._clock.now() - kept_s)
            while batch := list(islice(old, BATCH)):
                self._storage.delete(batch)
                log.info("old_objects_swept", prefix=prefix, objects=len(batch))
                yield
        for job_id, keys in groupby(self._storage.keys(object_keys.JOBS), lambda key: key.split("/")[1]):
            try:
                self._one(job_id, list(keys), is_deleted=job_id in deleted)
            except ValueError:  # a document that this version can't read
                log.exception("document_unreadable", job_id=job_id)
            yield

    def _one(self, job_id: str, keys: Sequence[str], *, is_deleted: bool) -> None:
        if is_deleted:
            lifecycle.erase(self._storage, job_id)
        elif any(object_keys.outcome_retry_count(key) is not None for key in keys):
            self._ended(job_id, keys)
        elif self._clock.now() - ULID.from_str(job_id).timestamp > UNACCEPTED_S:
            self._unaccepted(job_id)

    def _unaccepted(self, job_id: str) -> None:
        # The order counts: what is no longer pending has an outcome by now, if it ever was.
        if self._owed(job_id) or lifecycle.recall(self._storage, job_id) is not None:
            return
        # By the objects' own age: a submission that is repeated with its idempotency key goes on under an old id.
        folder = object_keys.job(job_id)
        old = set(self._storage.keys_before(folder, self._clock.now() - UNACCEPTED_S))
        if old == set(self._storage.keys(folder)):
            log.info("unaccepted_job_swept", job_id=job_id)
            self._storage.delete(old)

    def _ended(self, job_id: str, keys: Sequence[str]) -> None:
        known = self._store.get(job_id)
        if known is None:
            known = lifecycle.restore(self._storage, self._store, job_id, now=self._clock.now())
        elif not known.state.is_terminal and not self._owed(job_id):  # Redis was rolled back behind the outcome
            outcome = lifecycle.read_outcome(self._storage, job_id, known.retry_count)
            known = self._store.finish(job_id, outcome) if outcome else known
        if known is None or not known.state.is_terminal:
            return
        if self._is_past_retention(known):
            if not self._owed(job_id):
                lifecycle.expire(self._storage, self._store, job_id, known.retry_count)
                log.info("job_expired", job_id=job_id)
        elif leftovers := lifecycle.leftovers(job_id, known, keys):
            self._sweep(job_id, leftovers)

    def _sweep(self, job_id: str, leftovers: Sequence[str]) -> None:
        """The keys were listed before we look whether a retry runs, so none of them can be its."""
        if self._owed(job_id):
            return
        settled = lifecycle.recall(self._storage, job_id)
        if settled is not None and settled.state.is_terminal:
            self._storage.delete(lifecycle.leftovers(job_id, settled, leftovers))
            log.info("leftovers_swept", job_id=job_id)

    def _owed(self, job_id: str) -> bool:
        return any(True for _ in self._storage.keys(object_keys.pending(job_id)))

    def _is_past_retention(self, job: Job) -> bool:
        days = self._settings.retention_days
        if days is None or job.finished_at is None or job.state is JobState.EXPIRED:
            return False
        return self._clock.now() - job.finished_at > days * object_keys.DAY_S
