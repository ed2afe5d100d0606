"""Runs one job at a time: claims it, runs an attempt, and settles its outcome."""

import threading
from collections.abc import Callable, Collection

import structlog

from shared.clock import Clock
from shared.errors import ClaimLost, DreamError, LocalDiskError, OutOfMemory, StorageUnavailable, StoreUnavailable
from shared.interfaces import JobStore, Notifier, ObjectStorage
from shared.jobs.job import Job, JobError, JobState, Outcome
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from shared.settings import Settings
from worker.attempts.attempt import STALL_STORE_S, Attempt
from worker.attempts.dreamer import Dreamer
from worker.attempts.feature_maps_attempt import FeatureMapsAttempt
from worker.attempts.interrupts import Canceled, Deleted, Drained, Interrupted, StorageLost
from worker.attempts.lease import LeaseKeeper
from worker.attempts.time_left import OctaveTimes
from worker.host import Host
from worker.monitoring import worker_metrics

log = structlog.get_logger(__name__)


class Runner:
    """Claims and runs jobs. All dependencies are passed in; only `die` ends the process."""

    def __init__(
        self,
        *,
        store: JobStore,
        storage: ObjectStorage,
        notifier: Notifier,
        dreamer: Dreamer,
        clock: Clock,
        settings: Settings,
        drain: threading.Event,
        die: Callable[[], None],
    ) -> None:
        self.octave_times = OctaveTimes()
        self._store = store
        self._storage = storage
        self._lifecycle = JobLifecycle(storage, store, notifier)
        self._dreamer = dreamer
        self._clock = clock
        self._settings = settings
        self._drain = drain
        self._die = die
        self._host = Host(store=store, storage=storage, clock=clock)
        self._running: Job | None = None
        self.lease: LeaseKeeper | None = None

    @property
    def job_id(self) -> str | None:
        """Returns the id of the running job, if any."""
        return self._running.id if self._running else None

    def release_job(self) -> None:
        """Hands the running job back, from another thread, because the process is about to end in any case."""
        if self._running is not None:
            self._hand_back(self._running)

    def run_next(self) -> bool:
        """Claims the next waiting job and runs one attempt. Returns False if no job waits or this host is unfit."""
        if self._drain.is_set() or not self._host.is_fit():
            return False
        job = self._claim()
        if job is None and self._settings.fetch_models:  # a waiting job may need a network that is not yet fetched
            self._dreamer.fetch(tuple(self._store.waiting()))
            job = self._claim()
        if job is None:
            return False
        self._running = job
        with structlog.contextvars.bound_contextvars(
            job_id=job.id, attempt=job.attempt, retry_count=job.retry_count, owner=job.owner
        ):
            log.info("job_claimed", waited_s=round((job.started_at or 0) - job.created_at, 3))
            worker_metrics.claimed(job)
            try:
                self._attempt(job)
            finally:
                self._running = None
        return True

    def _claim(self) -> Job | None:
        settings = self._settings
        try:
            job = self._lifecycle.claim(
                settings.worker_name,
                self._dreamer.models(),
                lease_s=settings.lease_s,
                max_running=settings.max_running,
            )
        except StoreUnavailable as exc:
            self._host.claim_unanswered(str(exc))
            raise
        self._host.claim_answered()
        return job

    def _attempt(self, job: Job) -> None:
        lease = LeaseKeeper(
            job,
            store=self._store,
            records=self._lifecycle.records,
            clock=self._clock,
            settings=self._settings,
            drain=self._drain,
            die=self._die,
            times=self.octave_times,
        )
        self.lease = lease
        attempt = (FeatureMapsAttempt if job.kind == "feature_maps" else Attempt)(
            job,
            store=self._store,
            storage=self._storage,
            lifecycle=self._lifecycle,
            dreamer=self._dreamer,
            lease=lease,
            clock=self._clock,
            settings=self._settings,
        )
        with lease:
            self._run_and_clean_up(job, attempt, lease)
        self.octave_times.save()

    def _run_and_clean_up(self, job: Job, attempt: Attempt, lease: LeaseKeeper) -> None:
        try:
            settled = self._run_and_settle(job, attempt, lease)
        except Drained:
            worker_metrics.attempt_ended(job, "drained")
            attempt.save_progress()
            self._hand_back(job)
            return
        except (StorageLost, LocalDiskError) as exc:
            worker_metrics.attempt_ended(job, "returned")
            self._host.suspect(str(exc))
            attempt.finish_uploads()
            self._hand_back(job, died=isinstance(exc, LocalDiskError))
            return
        except (ClaimLost, Deleted) as exc:
            log.warning("attempt_abandoned", reason=str(exc) or type(exc).__name__)
            worker_metrics.attempt_ended(job, "abandoned")
            settled = None
        try:
            if settled is not None and settled.claim == job.claim:
                attempt.finish_uploads()
                self._lifecycle.sweep(job.id, settled)
            else:
                attempt.discard()
        except DreamError as exc:
            log.warning("cleanup_failed", reason=str(exc))  # housekeeping cleans up later

    def _run_and_settle(self, job: Job, attempt: Attempt, lease: LeaseKeeper) -> Outcome | None:
        outcome = self._run_to_outcome(job, attempt, lease)
        if outcome is None:
            worker_metrics.attempt_ended(job, "adopted")
            return None
        lease.begin_commit(stall_s=STALL_STORE_S)
        settled = attempt.patiently(lambda: self._lifecycle.settle(job.id, outcome), also_when_full=True)
        log.info("job_settled", state=settled.state, won=settled.claim == outcome.claim)
        worker_metrics.attempt_ended(job, settled.state)
        return settled

    def _run_to_outcome(self, job: Job, attempt: Attempt, lease: LeaseKeeper) -> Outcome | None:
        """Runs the attempt and returns the job's outcome; None if the job had already ended.

        Raises ClaimLost, Deleted, Drained, StorageLost or LocalDiskError if this attempt must not settle the job.
        """
        try:
            keys = attempt.patiently(lambda: self._lifecycle.records.keys(job.id))
            if attempt.patiently(lambda: self._ended_before(job, keys)):
                return None
            attempt.patiently(lambda: self._lifecycle.queue_started(job, now=self._clock.now()))
            attempt.run(keys)
            self._confirm(lease)
        except Canceled:
            attempt.save_progress()  # a retry resumes here
            return self._outcome_as(job, JobState.CANCELED)
        except (ClaimLost, Interrupted):
            raise
        except (DreamError, OSError) as exc:
            return self._failed(job, _translated(exc))
        except MemoryError:
            log.exception("job_failed", code=OutOfMemory.code)
            return self._outcome_as(job, JobState.FAILED, JobError(code=OutOfMemory.code, message=str(OutOfMemory())))
        except Exception as exc:  # noqa: BLE001 - `_failed` logs it with its traceback
            return self._failed(job, exc)
        return self._outcome_as(job, JobState.SUCCEEDED)

    def _failed(self, job: Job, exc: Exception) -> Outcome:
        """Returns the outcome of a failed job. Raises LocalDiskError while another host may still run the job."""
        if isinstance(exc, LocalDiskError) and job.deaths + 1 < self._settings.max_deaths:
            raise exc
        if not isinstance(exc, DreamError):
            log.error("job_failed", code=DreamError.code, exc_info=exc)
            message = f"The job failed on an unexpected error ({type(exc).__name__}). See the worker's log for details."
            return self._outcome_as(job, JobState.FAILED, JobError(code=DreamError.code, message=message))
        if isinstance(exc, LocalDiskError):
            self._host.suspect(str(exc))
        log.warning("job_failed", code=exc.code, reason=str(exc))
        return self._outcome_as(
            job, JobState.FAILED, JobError(code=exc.code, message=str(exc), retryable=exc.retryable)
        )

    def _ended_before(self, job: Job, keys: Collection[str]) -> bool:
        """Returns whether the job already has an outcome in S3, and adopts it. S3 takes precedence over Redis.

        keys: the keys of all objects of the job.
        Raises Deleted on a tombstone in S3 and Canceled on a cancel.
        """
        records = self._lifecycle.records
        outcome = (
            records.outcome(job.id, job.retry_count) if object_keys.outcome(job.id, job.retry_count) in keys else None
        )
        if outcome is not None:
            self._lifecycle.close(job.id, outcome)
            log.info("outcome_adopted", state=outcome.state)
            return True
        if records.is_deleted(job.id):
            self._lifecycle.delete(job.id)
            raise Deleted
        if object_keys.cancel(job.id, job.retry_count) in keys:
            self._store.cancel(job.id, retry_count=job.retry_count)
            raise Canceled
        return False

    def _confirm(self, lease: LeaseKeeper) -> None:
        try:
            lease.confirm()
        except (StoreUnavailable, StorageUnavailable):
            log.warning("claim_unconfirmed")  # not needed: the first outcome in S3 decides

    def _hand_back(self, job: Job, *, died: bool = False) -> None:
        try:
            released = self._lifecycle.release(job, now=self._clock.now(), died=died)
            log.info("job_released", state=released.state)
        except DreamError as exc:  # the lease expires, and another worker resumes the job
            log.warning("job_release_failed", reason=str(exc))

    def _outcome_as(self, job: Job, state: JobState, error: JobError | None = None) -> Outcome:
        return Outcome(
            retry_count=job.retry_count,
            state=state,  # type: ignore[arg-type] # pydantic checks that it is terminal
            finished_at=self._clock.now(),
            claim=job.claim if state is JobState.SUCCEEDED else None,
            started_at=job.started_at,
            attempt=job.attempt,
            error=error,
        )


def _translated(exc: Exception) -> Exception:
    """Returns LocalDiskError for an error of this host's disk, and any other error unchanged."""
    is_disk = isinstance(exc, OSError) and exc.errno in LocalDiskError.errnos
    return LocalDiskError(f"The worker's disk is full or failing ({exc}).") if is_disk else exc
