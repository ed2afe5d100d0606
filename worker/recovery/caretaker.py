"""The caretaker process; any number may run, one leads. Run: python -m worker.recovery.caretaker"""

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
from shared.jobs import Job, JobError, JobState, Outcome
from shared.lifecycle import JobLifecycle
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings, load_or_exit
from worker import liveness_file, metrics_server, worker_metrics
from worker.recovery import webhook_dispatcher
from worker.recovery.housekeeping import Housekeeping
from worker.recovery.reconciliation import Reconciliation
from worker.startup_checks import wait_for_services

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Caretaker:
    """Every duty may be repeated, interrupted, or done by two at once."""

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
        self._generation: str | None = None  # of the Redis that was compared with S3
        self._looked_at = clock.now()
        self._reconcile_at = clock.monotonic()
        self._distrust()

    def run_round(self) -> None:
        """One round of all duties that are due, if this caretaker leads."""
        gap_s, self._looked_at = self._clock.now() - self._looked_at, self._clock.now()
        if gap_s > self._settings.lease_s:  # we were frozen, and maybe the machine with all its workers
            self._distrust()
        duties = (self._notice_lost_state, self._judge_lapsed, self._end_overdue, self._reconcile_if_due, self._wake)
        try:
            self.leads = self._store.lead(self._name, ttl_s=self._settings.lease_s)
            if not self.leads:
                return
            for duty in (*duties, self._keep_house):
                self._shielded(duty)
        except StoreUnavailable as exc:
            self._distrust()
            log.warning("redis_unavailable", reason=str(exc))

    def _distrust(self) -> None:
        """Leases could not be renewed lately, so nobody is judged for the length of one."""
        self._trusted_at = self._clock.monotonic() + self._settings.lease_s

    def _notice_lost_state(self) -> None:
        generation = self._store.generation()
        if generation is not None and generation == self._generation:
            return
        log.warning(
            "reconciliation_started", reason="Redis is new, was wiped, or was restarted and may lack its last second"
        )
        self._distrust()
        token = self._store.begin_rebuild()
        if not self._reconcile():
            return
        self._generation = self._store.end_rebuild(token)  # None when it was lost again meanwhile
        self._housekeeping.start_over()

    def _judge_lapsed(self) -> None:
        if self._clock.monotonic() >= self._trusted_at:
            self._each(self._store.expired_leases(), self._judge)

    def _judge(self, job: Job) -> None:
        outcome = self._lifecycle.records.outcome(job.id, job.retry_count)
        if outcome is not None:  # it died between the commit and telling Redis
            self._lifecycle.close(job.id, outcome)
            return
        reaped = self._store.expire_lease(job, max_deaths=self._settings.max_deaths)
        if reaped is None:
            return
        log.warning("lease_expired", job_id=job.id, worker=job.worker, deaths=reaped.deaths, state=reaped.state)
        worker_metrics.lease_expired(reaped.state)
        if reaped.state is JobState.CANCELING:
            self._end(reaped, JobState.CANCELED)
        elif reaped.state is JobState.RUNNING:
            died = WorkerDied()
            self._end(reaped, JobState.FAILED, JobError(code=died.code, message=str(died), retryable=died.retryable))

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
        """Compares what S3 owes with what Redis knows. False when some of it could not be done."""
        settings = self._settings
        self._reconcile_at = self._clock.monotonic() + settings.reconcile_interval_s
        skipped, lead_at = 0, self._clock.monotonic()
        for tally in self._reconciliation.run():
            skipped = tally.skipped
            if self._clock.monotonic() - lead_at > settings.lease_s / 3:  # this may take longer than a leader's lease
                self.leads, lead_at = self._store.lead(self._name, ttl_s=settings.lease_s), self._clock.monotonic()
                if not self.leads:
                    return False
        self._store.rebuild_turns()
        if self._unserved():
            self._notifier.notify_workers()  # a worker may be able to fetch what it lacks
        return skipped == 0

    def _wake(self) -> None:
        """As many wake-ups as jobs wait that a live worker can serve; lost ones are sent again."""
        waiting = self._store.waiting()
        missing = sum(waiting.values()) - self._unserved() - self._notifier.pending_wake_ups()
        if missing > 0:
            self._notifier.notify_workers(missing)

    def _unserved(self) -> int:
        served = {model for worker in self._store.workers() for model in worker.models}
        return sum(count for model, count in self._store.waiting().items() if model not in served)

    def _keep_house(self) -> None:
        self._housekeeping.go_on(for_s=self._settings.caretaker_interval_s)

    def _each(self, items: Iterable[T], action: Callable[[T], None]) -> None:
        """Without S3 none of them can be done; otherwise one that can't does not keep the others waiting."""
        for item in items:
            try:
                action(item)
            except (StoreUnavailable, StorageUnavailable):
                raise
            except DreamError as exc:
                log.warning("recovery_postponed", item=getattr(item, "id", item), reason=str(exc))
            except ValueError:  # a document that this version can't read
                log.exception("document_unreadable", item=getattr(item, "id", item))

    def _shielded(self, duty: Callable[[], None]) -> None:
        """One duty that can't be done now does not keep the others waiting; without Redis there is nothing to do."""
        try:
            duty()
        except StoreUnavailable:
            raise
        except DreamError as exc:
            log.warning("recovery_postponed", duty=duty.__name__, reason=str(exc))


def main() -> None:
    """Looks around until SIGTERM or SIGINT."""
    logs.configure()
    settings = load_or_exit()
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    liveness_file.start(settings.liveness_file)
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
    webhook_dispatcher.start(settings, leads=lambda: caretaker.leads, ended=ended)
    log.info("caretaker_started")
    while not ended.wait(settings.caretaker_interval_s):
        caretaker.run_round()


if __name__ == "__main__":
    main()
