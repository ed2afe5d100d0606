"""A worker's one job at a time: claim it, attempt it, commit how it ended."""

import threading
from collections.abc import Callable, Collection
from functools import partial

import structlog

from shared import layout, ledger, webhooks
from shared.clock import Clock
from shared.errors import ClaimLost, DreamError, OutOfMemory, StoreUnavailable
from shared.jobs import Job, JobError, JobState, Outcome
from shared.ports import Blobs, Doorbell, Store
from shared.settings import Settings
from worker import metrics
from worker.attempt import STALL_STORE_S, Attempt
from worker.heart import Heart
from worker.interrupts import Canceled, Deleted, Drained
from worker.maps import MapsAttempt
from worker.port import Dreamer

log = structlog.get_logger(__name__)


class Runner:
    """Everything it needs is passed in; only `die` ends the process."""

    def __init__(
        self,
        *,
        store: Store,
        blobs: Blobs,
        doorbell: Doorbell,
        dreamer: Dreamer,
        clock: Clock,
        settings: Settings,
        drain: threading.Event,
        die: Callable[[], None],
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._doorbell = doorbell
        self._dreamer = dreamer
        self._clock = clock
        self._settings = settings
        self._drain = drain
        self._die = die
        self._running: Job | None = None
        self.heart: Heart | None = None

    @property
    def job_id(self) -> str | None:
        """What runs now."""
        return self._running.id if self._running else None

    def give_up(self) -> None:
        """Hands back what runs, from another thread, because this process ends now whatever it is doing."""
        if self._running is not None:
            self._hand_back(self._running)

    def run_next(self) -> bool:
        """Runs the next waiting job to an end of this attempt. False when nothing waits."""
        if self._drain.is_set():
            return False
        job = self._claim()
        if job is None and self._settings.fetch_models:  # what waits may only lack its weights
            self._dreamer.fetch(tuple(self._store.waiting()))
            job = self._claim()
        if job is None:
            return False
        self._running = job
        with structlog.contextvars.bound_contextvars(job_id=job.id, attempt=job.attempt, owner=job.owner):
            log.info("claimed", waited_s=round((job.started_at or 0) - job.created_at, 3))
            metrics.claimed(job)
            try:
                self._attempt(job)
            finally:
                self._running = None
        return True

    def _claim(self) -> Job | None:
        return self._store.claim(self._settings.worker_name, self._dreamer.models(), lease_s=self._settings.lease_s)

    def _attempt(self, job: Job) -> None:
        heart = Heart(
            job,
            store=self._store,
            blobs=self._blobs,
            clock=self._clock,
            settings=self._settings,
            drain=self._drain,
            die=self._die,
        )
        self.heart = heart
        attempt = (MapsAttempt if job.kind == "feature_maps" else Attempt)(
            job,
            store=self._store,
            blobs=self._blobs,
            dreamer=self._dreamer,
            heart=heart,
            clock=self._clock,
            settings=self._settings,
        )
        with heart:
            self._end(job, attempt, heart)

    def _end(self, job: Job, attempt: Attempt, heart: Heart) -> None:
        try:
            settled = self._settle(job, attempt, heart)
        except Drained:
            metrics.attempt_ended(job, "drained")
            attempt.park()
            self._hand_back(job)
            return
        except (ClaimLost, Deleted) as exc:
            log.warning("abandoned", reason=str(exc) or type(exc).__name__)
            metrics.attempt_ended(job, "abandoned")
            settled = None
        try:
            if settled is not None and settled.claim == job.claim:
                attempt.quiet()
                ledger.sweep(self._blobs, job.id, settled)
            else:
                attempt.discard()
        except DreamError as exc:
            log.warning("not_tidied", reason=str(exc))  # the caretaker will

    def _settle(self, job: Job, attempt: Attempt, heart: Heart) -> Outcome | None:
        outcome = self._outcome(job, attempt, heart)
        if outcome is None:
            metrics.attempt_ended(job, "adopted")
            return None
        heart.commit(stall_s=STALL_STORE_S)
        settle = partial(ledger.settle, self._blobs, self._store, job.id, outcome)
        settled = attempt.patiently(settle, also_when_full=True)
        log.info("settled", state=settled.state, won=settled.claim == outcome.claim)
        metrics.attempt_ended(job, settled.state)
        return settled

    def _outcome(self, job: Job, attempt: Attempt, heart: Heart) -> Outcome | None:
        """How this attempt ended the job; None if it had ended before."""
        try:
            kept = attempt.patiently(lambda: ledger.kept(self._blobs, job.id))
            if attempt.patiently(lambda: self._ended_before(job, kept)):
                return None
            attempt.patiently(lambda: self._tell_of_start(job))
            attempt.run(kept)
            self._confirm(heart)
        except Canceled:
            return self._as(job, JobState.CANCELED)
        except (ClaimLost, Drained, Deleted):
            raise
        except DreamError as exc:
            log.warning("failed", code=exc.code, reason=str(exc))
            return self._as(job, JobState.FAILED, JobError(code=exc.code, message=str(exc), retryable=exc.retryable))
        except MemoryError:
            log.exception("failed", code=OutOfMemory.code)
            return self._as(job, JobState.FAILED, JobError(code=OutOfMemory.code, message=str(OutOfMemory())))
        except Exception as exc:
            log.exception("failed", code=DreamError.code)
            message = f"The dream stopped on an unexpected error ({type(exc).__name__}); the worker's log says more."
            return self._as(job, JobState.FAILED, JobError(code=DreamError.code, message=message))
        return self._as(job, JobState.SUCCEEDED)

    def _tell_of_start(self, job: Job) -> None:
        webhooks.owe_started(self._blobs, job.id, epoch=job.epoch, started_at=job.started_at or self._clock.now())

    def _ended_before(self, job: Job, kept: Collection[str]) -> bool:
        """What S3 says outweighs what Redis believes: an outcome is adopted, a cancel or a tombstone obeyed."""
        done = layout.outcome(job.id, job.epoch) in kept
        outcome = ledger.read_outcome(self._blobs, job.id, job.epoch) if done else None
        if outcome is not None:
            ledger.close(self._blobs, self._store, job.id, outcome)
            log.info("adopted", state=outcome.state)
            return True
        if ledger.is_deleted(self._blobs, job.id):
            self._store.forget(job.id)
            raise Deleted
        if layout.cancel(job.id) in kept and ledger.cancel_asked(self._blobs, job):
            self._store.cancel(job.id)
            raise Canceled
        return False

    def _confirm(self, heart: Heart) -> None:
        try:
            heart.confirm()
        except StoreUnavailable:
            log.warning("unconfirmed")  # the first outcome in S3 decides

    def _hand_back(self, job: Job) -> None:
        try:
            released = self._store.release(job)
            if released.state is JobState.CANCELING:
                ledger.settle(self._blobs, self._store, job.id, self._as(job, JobState.CANCELED))
            else:
                self._doorbell.ring()
            log.info("handed_back", state=released.state)
        except DreamError as exc:  # the lease lapses, another worker resumes
            log.warning("not_handed_back", reason=str(exc))

    def _as(self, job: Job, state: JobState, error: JobError | None = None) -> Outcome:
        return Outcome(
            epoch=job.epoch,
            state=state,  # type: ignore[arg-type] # pydantic checks that it is terminal
            finished_at=self._clock.now(),
            claim=job.claim if state is JobState.SUCCEEDED else None,
            started_at=job.started_at,
            attempt=job.attempt,
            error=error,
        )
