"""Runs the caretaker process. Any number may run; one of them leads. Run: python -m worker.recovery.caretaker"""

import secrets
import signal
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

import structlog

from shared import logs
from shared.celery_app import CeleryNotifier
from shared.clock import Clock, SystemClock
from shared.errors import DeadlineExceeded, DreamError, StorageUnavailable, StoreUnavailable, WorkerDied
from shared.interfaces import JobStore, Notifier, ObjectStorage
from shared.jobs.job import Job, JobError, JobState, Outcome
from shared.jobs.lifecycle import JobLifecycle
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings, load_or_exit
from worker.monitoring import liveness_file, metrics_server, worker_metrics
from worker.recovery import webhook_thread
from worker.recovery.housekeeping import Housekeeping
from worker.recovery.reconciliation import Reconciliation
from worker.startup_checks import wait_for_services

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Caretaker:
    """Requeues expired leases, ends overdue jobs, reconciles Redis with S3, sends wake-ups, runs housekeeping.

    Every duty may be repeated, interrupted, or run by two caretakers at once.
    """

    def __init__(
        self, *, store: JobStore, storage: ObjectStorage, notifier: Notifier, clock: Clock, settings: Settings
    ) -> None:
        self._store = store
        self._notifier = notifier
        self._lifecycle = JobLifecycle(storage, store, notifier)
        self._reconciliation = Reconciliation(
            lifecycle=self._lifecycle, storage=storage, store=store, notifier=notifier, clock=clock
        )
        self._clock = clock
        self._settings = settings
        self._housekeeping = Housekeeping(
            lifecycle=self._lifecycle, store=store, storage=storage, clock=clock, settings=settings
        )
        self._name = secrets.token_hex(4)
        self.leads = False
        self._generation: str | None = None  # of the Redis data set that was reconciled with S3
        self._last_round_at = clock.now()
        self._reconcile_at = clock.monotonic()
        self._pause_lease_expiry()

    def run_round(self) -> None:
        """Runs one round of all due duties, if this caretaker leads."""
        gap_s, self._last_round_at = self._clock.now() - self._last_round_at, self._clock.now()
        if gap_s > self._settings.lease_s:  # this process was frozen, and perhaps the machine with all its workers
            self._pause_lease_expiry()
        duties = (
            self._rebuild_lost_state,
            self._expire_leases,
            self._end_overdue,
            self._reconcile_if_due,
            self._wake_workers,
        )
        try:
            self.leads = self._store.lead(self._name, ttl_s=self._settings.lease_s)
            if not self.leads:
                return
            for duty in (*duties, self._run_housekeeping):
                self._shielded(duty)
        except StoreUnavailable as exc:
            self._pause_lease_expiry()
            log.warning("redis_unavailable", reason=str(exc))

    def _pause_lease_expiry(self) -> None:
        """Pauses lease expiry for one lease period, because renewals may have failed."""
        self._expiry_resumes_at = self._clock.monotonic() + self._settings.lease_s

    def _rebuild_lost_state(self) -> None:
        """Restores Redis from S3 after a wipe or restart, which its generation shows."""
        generation = self._store.generation()
        if generation is not None and generation == self._generation:
            return
        log.warning(
            "reconciliation_started",
            reason="Redis is new, was wiped, or was restarted and may have lost its last second.",
        )
        self._pause_lease_expiry()
        token = self._store.begin_rebuild()
        if not self._reconcile():
            return
        self._generation = self._store.end_rebuild(token)  # None when Redis lost data again meanwhile
        self._housekeeping.start_over()

    def _expire_leases(self) -> None:
        if self._clock.monotonic() >= self._expiry_resumes_at:
            self._each(self._store.expired_leases(), self._expire_lease)

    def _expire_lease(self, job: Job) -> None:
        """Requeues the job of an expired lease, or ends it if it is being canceled or died too often."""
        outcome = self._lifecycle.records.outcome(job.id, job.retry_count)
        if outcome is not None:  # the worker died after the commit, before Redis was updated
            self._lifecycle.close(job.id, outcome)
            return
        expired = self._store.expire_lease(job, max_deaths=self._settings.max_deaths)
        if expired is None:
            return
        log.warning("lease_expired", job_id=job.id, worker=job.worker, deaths=expired.deaths, state=expired.state)
        worker_metrics.lease_expired(expired.state)
        if expired.state is JobState.CANCELING:
            self._end(expired, JobState.CANCELED)
        elif expired.state is JobState.RUNNING:
            died = WorkerDied()
            self._end(expired, JobState.FAILED, JobError(code=died.code, message=str(died), retryable=died.retryable))

    def _end_overdue(self) -> None:
        late = DeadlineExceeded()
        error = JobError(code=late.code, message=str(late))
        self._each(self._store.overdue(), lambda job: self._end(job, JobState.FAILED, error))

    def _end(self, job: Job, state: JobState, error: JobError | None = None) -> None:
        outcome = Outcome(
            retry_count=job.retry_count,
            state=state,  # type: ignore[arg-type] # pydantic checks that it is terminal
            finished_at=self._clock.now(),
            started_at=job.started_at,
            attempt=job.attempt,
            error=error,
        )
        self._lifecycle.sweep(job.id, self._lifecycle.settle(job.id, outcome))

    def _reconcile_if_due(self) -> None:
        if self._clock.monotonic() >= self._reconcile_at:
            self._reconcile()

    def _reconcile(self) -> bool:
        """Reconciles Redis with S3. Returns False when jobs were skipped or another caretaker leads now."""
        settings = self._settings
        self._reconcile_at = self._clock.monotonic() + settings.reconcile_interval_s
        skipped, lead_at = 0, self._clock.monotonic()
        for tally in self._reconciliation.run():
            skipped = tally.skipped
            if self._clock.monotonic() - lead_at > settings.lease_s / 3:  # a reconciliation may outlast leadership
                self.leads, lead_at = self._store.lead(self._name, ttl_s=settings.lease_s), self._clock.monotonic()
                if not self.leads:
                    return False
        self._store.rebuild_turns()
        if self._unserved():
            self._notifier.notify_workers()  # a worker may be able to fetch the missing model
        return skipped == 0

    def _wake_workers(self) -> None:
        """Sends the missing wake-ups: one is pending for each waiting job that a live worker can serve."""
        waiting = self._store.waiting()
        missing = sum(waiting.values()) - self._unserved() - self._notifier.pending_wake_ups()
        if missing > 0:
            self._notifier.notify_workers(missing)

    def _unserved(self) -> int:
        served = {model for worker in self._store.workers() for model in worker.models}
        return sum(count for model, count in self._store.waiting().items() if model not in served)

    def _run_housekeeping(self) -> None:
        self._housekeeping.go_on(for_s=self._settings.caretaker_interval_s)

    def _each(self, items: Iterable[T], action: Callable[[T], None]) -> None:
        """Applies the action to each item; postpones an item that fails, so that the others are not delayed.

        Raises StoreUnavailable or StorageUnavailable: without Redis or S3 every item would fail.
        """
        for item in items:
            try:
                action(item)
            except (StoreUnavailable, StorageUnavailable):
                raise
            except DreamError as exc:
                log.warning("recovery_postponed", item=getattr(item, "id", item), reason=str(exc))
            except ValueError:  # a document that this version cannot read
                log.exception("document_unreadable", item=getattr(item, "id", item))

    def _shielded(self, duty: Callable[[], None]) -> None:
        """Runs a duty and postpones it if it fails, so that the others are not delayed.

        Raises StoreUnavailable: without Redis no duty can run.
        """
        try:
            duty()
        except StoreUnavailable:
            raise
        except DreamError as exc:
            log.warning("recovery_postponed", duty=duty.__name__, reason=str(exc))


def main() -> None:
    """Runs rounds until SIGTERM or SIGINT."""
    logs.configure()
    settings = load_or_exit()
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    checks: list[Callable[[], bool]] = []
    liveness_file.start(settings.liveness_file, lambda: all(is_well() for is_well in checks))
    if not wait_for_services(settings, ended):
        return
    caretaker = Caretaker(
        store=RedisJobStore.connect(settings),
        storage=S3ObjectStorage.connect(settings),
        notifier=CeleryNotifier.connect(settings),
        clock=SystemClock(),
        settings=settings,
    )
    metrics_server.serve(settings, component="caretaker", ready=lambda: not ended.is_set())
    checks.append(webhook_thread.start(settings, leads=lambda: caretaker.leads, ended=ended).is_well)
    log.info("caretaker_started")
    while not ended.wait(settings.caretaker_interval_s):
        caretaker.run_round()


if __name__ == "__main__":
    main()
