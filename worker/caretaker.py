"""Puts right what got stuck: its own small process, any number of them, one leads. Run: python -m worker.caretaker"""

import secrets
import signal
import threading

import structlog

from shared import layout, ledger, logs
from shared.blobs import S3Blobs
from shared.clock import Clock, SystemClock
from shared.errors import BlobsUnavailable, DeadlineExceeded, DreamError, StoreUnavailable, WorkerDied
from shared.jobs import Job, JobError, JobState, Outcome
from shared.ports import Blobs, Doorbell, Store
from shared.queue import CeleryDoorbell
from shared.settings import Settings, load_or_exit
from shared.store import RedisStore

log = structlog.get_logger(__name__)


class Caretaker:
    """Every duty may be repeated, interrupted, or done by two at once."""

    def __init__(self, *, store: Store, blobs: Blobs, doorbell: Doorbell, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._blobs = blobs
        self._doorbell = doorbell
        self._clock = clock
        self._settings = settings
        self._name = secrets.token_hex(4)
        # Leases could not be renewed while Redis was away, so nobody is judged until one lease after it is back.
        self._trusted_at = clock.monotonic() + settings.lease_s
        self._reconciled_at = -settings.reconcile_interval_s
        self._rebuilt = False

    def look_around(self) -> None:
        """One round of all duties that are due, if this caretaker leads."""
        try:
            if not self._store.lead(self._name, ttl_s=self._settings.lease_s):
                return
            self._rebuild_if_wiped()
            if self._clock.monotonic() >= self._trusted_at:
                self._judge_lapsed()
            self._end_overdue()
            self._reconcile_if_due()
            self._ring()
        except StoreUnavailable as exc:
            self._trusted_at = self._clock.monotonic() + self._settings.lease_s
            log.warning("redis_away", reason=str(exc))
        except BlobsUnavailable as exc:
            log.warning("s3_away", reason=str(exc))

    def _rebuild_if_wiped(self) -> None:
        if self._store.epoch() is not None:
            return
        log.warning("rebuilding", reason="Redis has no epoch: it is new or was wiped")
        self._reconcile()
        self._store.begin_epoch()
        self._restore_history()

    def _restore_history(self) -> None:
        """Ended jobs, so that lists show them again. Newest first; asking for one by id does not wait for this."""
        restored = 0
        for job_id in sorted(self._blobs.folders("jobs/"), reverse=True):
            if self._store.get(job_id) is None and (job := ledger.recall(self._blobs, job_id)):
                restored += self._store.create(job)
        log.info("history_restored", jobs=restored)

    def _judge_lapsed(self) -> None:
        for job in self._store.lapsed():
            reaped = self._store.reap(job, max_deaths=self._settings.max_deaths)
            if reaped is None:
                continue
            log.warning("reaped", job_id=job.id, worker=job.worker, deaths=reaped.deaths, state=reaped.state)
            if reaped.state is JobState.CANCELING:
                self._end(reaped, JobState.CANCELED)
            elif reaped.state is JobState.RUNNING:
                died = WorkerDied()
                self._end(reaped, JobState.FAILED, JobError(code=died.code, message=str(died)))

    def _end_overdue(self) -> None:
        for job in self._store.overdue():
            late = DeadlineExceeded()
            self._end(job, JobState.FAILED, JobError(code=late.code, message=str(late)))

    def _end(self, job: Job, state: JobState, error: JobError | None = None) -> None:
        outcome = Outcome(
            epoch=job.epoch,
            state=state,  # type: ignore[arg-type] # pydantic checks that it is terminal
            finished_at=self._clock.now(),
            started_at=job.started_at,
            attempt=job.attempt,
            error=error,
        )
        ledger.sweep(self._blobs, job.id, ledger.settle(self._blobs, self._store, job.id, outcome))

    def _reconcile_if_due(self) -> None:
        if self._clock.monotonic() - self._reconciled_at >= self._settings.reconcile_interval_s:
            self._reconcile()

    def _reconcile(self) -> None:
        """What S3 owes, compared with what Redis knows: creates what is missing, closes what is done."""
        for key in self._blobs.keys(layout.pending("")):
            job_id = key.removeprefix(layout.pending(""))
            if ledger.is_deleted(self._blobs, job_id):
                ledger.erase(self._blobs, job_id)
                self._store.forget(job_id)
                continue
            owed = ledger.recall(self._blobs, job_id)
            if owed is not None:
                self._reconcile_one(owed)
        self._reconciled_at = self._clock.monotonic()

    def _reconcile_one(self, owed: Job) -> None:
        outcome = ledger.read_outcome(self._blobs, owed.id, owed.epoch)
        if self._store.create(owed):
            log.info("rebuilt", job_id=owed.id, state=owed.state)
        elif owed.epoch:
            self._store.retry(owed.id, epoch=owed.epoch)  # does nothing unless Redis is an epoch behind
        if outcome is not None:
            ledger.close(self._blobs, self._store, owed.id, outcome)
        elif ledger.cancel_asked(self._blobs, owed):
            known = self._store.cancel(owed.id)
            if known is not None and known.state is JobState.CANCELED:
                self._end(known, JobState.CANCELED)

    def _ring(self) -> None:
        """As many doorbells as jobs wait that a live worker can serve; lost ones are rung again."""
        served = {model for worker in self._store.workers() for model in worker.models}
        waiting = sum(count for model, count in self._store.waiting().items() if model in served)
        missing = waiting - self._doorbell.pending()
        if missing > 0:
            self._doorbell.ring(missing)


def main() -> None:
    """Looks around until SIGTERM or SIGINT."""
    logs.configure()
    settings = load_or_exit()
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    caretaker = Caretaker(
        store=RedisStore.connect(settings),
        blobs=S3Blobs.connect(settings),
        doorbell=CeleryDoorbell.connect(settings),
        clock=SystemClock(),
        settings=settings,
    )
    log.info("caretaker_started")
    while not ended.wait(settings.caretaker_interval_s):
        try:
            caretaker.look_around()
        except DreamError:
            log.exception("round_failed")


if __name__ == "__main__":
    main()
