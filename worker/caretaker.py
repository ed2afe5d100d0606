"""Puts right what got stuck: its own small process, any number of them, one leads. Run: python -m worker.caretaker"""

import secrets
import signal
import threading
from collections.abc import Callable, Iterable
from typing import TypeVar

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
from worker import exporter, heartbeat, metrics, postman
from worker.fitness import wait_until_fit
from worker.housekeeping import Housekeeping

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Caretaker:
    """Every duty may be repeated, interrupted, or done by two at once."""

    def __init__(self, *, store: Store, blobs: Blobs, doorbell: Doorbell, clock: Clock, settings: Settings) -> None:
        self._store = store
        self._blobs = blobs
        self._doorbell = doorbell
        self._clock = clock
        self._settings = settings
        self._housekeeping = Housekeeping(store=store, blobs=blobs, clock=clock, settings=settings)
        self._name = secrets.token_hex(4)
        self.leads = False
        self._epoch: str | None = None  # of the Redis that we have compared with S3
        self._looked_at = clock.now()
        self._reconcile_at = clock.monotonic()
        self._distrust()

    def look_around(self) -> None:
        """One round of all duties that are due, if this caretaker leads."""
        gap_s, self._looked_at = self._clock.now() - self._looked_at, self._clock.now()
        if gap_s > self._settings.lease_s:  # we were frozen, and maybe the machine with all its workers
            self._distrust()
        duties = (self._notice_lost_state, self._judge_lapsed, self._end_overdue, self._reconcile_if_due, self._ring)
        try:
            self.leads = self._store.lead(self._name, ttl_s=self._settings.lease_s)
            if not self.leads:
                return
            for duty in (*duties, self._keep_house):
                self._shielded(duty)
        except StoreUnavailable as exc:
            self._distrust()
            log.warning("redis_away", reason=str(exc))

    def _distrust(self) -> None:
        """Leases could not be renewed lately, so nobody is judged for the length of one."""
        self._trusted_at = self._clock.monotonic() + self._settings.lease_s

    def _notice_lost_state(self) -> None:
        epoch = self._store.epoch()
        if epoch is not None and epoch == self._epoch:
            return
        log.warning("comparing", reason="Redis is new, was wiped, or was restarted and may lack its last second")
        self._distrust()
        self._reconcile()
        self._store.begin_epoch()
        self._housekeeping.start_over()
        self._epoch = self._store.epoch()

    def _judge_lapsed(self) -> None:
        if self._clock.monotonic() >= self._trusted_at:
            self._each(self._store.lapsed(), self._judge)

    def _judge(self, job: Job) -> None:
        outcome = ledger.read_outcome(self._blobs, job.id, job.epoch)
        if outcome is not None:  # it died between the commit and telling Redis
            ledger.close(self._blobs, self._store, job.id, outcome)
            return
        reaped = self._store.reap(job, max_deaths=self._settings.max_deaths)
        if reaped is None:
            return
        log.warning("reaped", job_id=job.id, worker=job.worker, deaths=reaped.deaths, state=reaped.state)
        metrics.lapsed(reaped.state)
        if reaped.state is JobState.CANCELING:
            self._end(reaped, JobState.CANCELED)
        elif reaped.state is JobState.RUNNING:
            died = WorkerDied()
            self._end(reaped, JobState.FAILED, JobError(code=died.code, message=str(died)))

    def _end_overdue(self) -> None:
        late = DeadlineExceeded()
        error = JobError(code=late.code, message=str(late))
        self._each(self._store.overdue(), lambda job: self._end(job, JobState.FAILED, error))

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
        if self._clock.monotonic() >= self._reconcile_at:
            self._reconcile()

    def _reconcile(self) -> None:
        """What S3 owes, compared with what Redis knows."""
        self._reconcile_at = self._clock.monotonic() + self._settings.reconcile_interval_s
        self._each(self._blobs.keys(layout.PENDING), lambda key: self._reconcile_one(*layout.owed(key)))
        self._store.mend()
        if self._unserved():
            self._doorbell.ring()  # a worker may be able to fetch what it lacks

    def _reconcile_one(self, job_id: str, epoch: int) -> None:
        known = self._store.get(job_id)
        if known is None:
            restored = ledger.restore(self._blobs, self._store, job_id, now=self._clock.now())
            log.info("rebuilt", job_id=job_id, state=restored and restored.state)
        elif known.epoch != epoch or known.state.is_terminal:  # Redis is an epoch behind, or `pending` is left over
            outcome = ledger.read_outcome(self._blobs, job_id, min(epoch, known.epoch))
            if outcome is not None:
                ledger.close(self._blobs, self._store, job_id, outcome)
            self._store.retry(job_id, epoch=epoch)
        elif known.state is JobState.RUNNING and ledger.cancel_asked(self._blobs, known):
            self._store.cancel(job_id)

    def _ring(self) -> None:
        """As many doorbells as jobs wait that a live worker can serve; lost ones are rung again."""
        waiting = self._store.waiting()
        missing = sum(waiting.values()) - self._unserved() - self._doorbell.pending()
        if missing > 0:
            self._doorbell.ring(missing)

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
            except (StoreUnavailable, BlobsUnavailable):
                raise
            except DreamError as exc:
                log.warning("postponed", item=getattr(item, "id", item), reason=str(exc))
            except ValueError:  # a document that this version can't read
                log.exception("unreadable", item=getattr(item, "id", item))

    def _shielded(self, duty: Callable[[], None]) -> None:
        """One duty that can't be done now does not keep the others waiting; without Redis there is nothing to do."""
        try:
            duty()
        except StoreUnavailable:
            raise
        except DreamError as exc:
            log.warning("postponed", duty=duty.__name__, reason=str(exc))


def main() -> None:
    """Looks around until SIGTERM or SIGINT."""
    logs.configure()
    settings = load_or_exit()
    ended = threading.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        signal.signal(signum, lambda *_: ended.set())
    heartbeat.start(settings.heartbeat_file)
    if not wait_until_fit(settings, ended):
        return
    caretaker = Caretaker(
        store=RedisStore.connect(settings),
        blobs=S3Blobs.connect(settings),
        doorbell=CeleryDoorbell.connect(settings),
        clock=SystemClock(),
        settings=settings,
    )
    exporter.serve(settings, component="caretaker", ready=lambda: not ended.is_set())
    postman.start(settings, leads=lambda: caretaker.leads, ended=ended)
    log.info("caretaker_started")
    while not ended.wait(settings.caretaker_interval_s):
        caretaker.look_around()


if __name__ == "__main__":
    main()
