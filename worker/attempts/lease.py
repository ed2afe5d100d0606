"""Renews an attempt's lease while it makes progress, publishes that progress, and detects when it has to stop."""

import threading
from collections.abc import Callable
from types import TracebackType

import structlog

from shared.clock import Clock
from shared.errors import ClaimLost, DeadlineExceeded, DreamError, JobNotFound
from shared.interfaces import JobStore
from shared.jobs.job import Job, JobProgress, JobState
from shared.params import DreamParams
from shared.s3.job_records import JobRecords
from shared.settings import Settings
from worker.attempts.interrupts import Canceled, Deleted, Drained
from worker.attempts.time_left import OctaveTimes, TimeLeft
from worker.dream.progress.observer import EngineProgress

log = structlog.get_logger(__name__)

RATE_MEMORY_S = 20.0  # pixels_per_second is averaged over about this time


class LeaseKeeper:
    """Renews the lease of one attempt on a separate thread; the attempt's thread only touches plain attributes."""

    def __init__(
        self,
        job: Job,
        *,
        store: JobStore,
        records: JobRecords,
        clock: Clock,
        settings: Settings,
        drain: threading.Event,
        die: Callable[[], None],
        times: OctaveTimes | None = None,
    ) -> None:
        """times: what octaves cost in this worker's earlier dreams; this one's are added."""
        self._job = job
        self._store = store
        self._records = records
        self._clock = clock
        self._settings = settings
        self._drain = drain
        self._die = die
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="lease", daemon=True)
        self._stop: Exception | None = None
        self.is_committing = False
        self._moves = 0
        self._phase, self._stall_s = "claim", 60.0
        self._engine_progress: EngineProgress | None = None
        self._rate = _Rate(clock)
        self._time_left = TimeLeft(clock, times or OctaveTimes(), _workload_of(job))
        self._seen_moves, self._moved_at = 0, clock.monotonic()
        self._published = -1

    # --- called by the attempt ---

    def enter(self, phase: str, *, stall_s: float) -> None:
        """Starts a phase. After `stall_s` seconds without progress the attempt counts as hung and loses its lease."""
        self._phase, self._stall_s = phase, stall_s
        self.move()

    def move(self) -> None:
        """Records progress. Raises the reason if the attempt has to stop.

        One of ClaimLost, Deleted, Canceled, DeadlineExceeded and Drained.
        """
        self.touch()
        if isinstance(self._stop, ClaimLost | Deleted) or (self._stop is not None and not self.is_committing):
            raise self._stop
        if self._drain.is_set():
            raise Drained

    def touch(self) -> None:
        """Records progress like `move`, for callers that must not be interrupted by an exception."""
        self._moves += 1

    def begin_commit(self, *, stall_s: float) -> None:
        """Records that the job's outcome is decided: from here on neither a cancel nor the deadline changes it."""
        self.is_committing = True
        self._phase, self._stall_s = "commit", stall_s
        self.touch()

    def report(self, progress: EngineProgress) -> None:
        """Records the engine's progress. Raises the same errors as `move`."""
        self._engine_progress = progress
        self._time_left.observe(progress)
        self.move()

    def confirm(self) -> None:
        """Checks in Redis that the claim still holds.

        Raises what `move` raises, StoreUnavailable, and StorageUnavailable when Redis lacks the job and S3 can't say
        whether it was deleted.
        """
        self._renew(self._progress())
        self.move()

    # --- runs on the lease thread ---

    def __enter__(self) -> "LeaseKeeper":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(self._settings.progress_interval_s):
            try:
                self.tick()
            except DreamError as exc:  # the engine needs neither Redis nor S3; the next tick retries
                log.warning("renewal_failed", reason=str(exc))

    def tick(self) -> None:
        """Renews the lease and publishes what is due, unless the attempt has stalled."""
        now = self._clock.monotonic()
        if self._moves != self._seen_moves:
            self._seen_moves, self._moved_at = self._moves, now
        if now - self._moved_at > self._stall_s:
            log.critical("attempt_stalled", phase=self._phase, stall_s=self._stall_s)
            self._die()  # a hung call can't be ended from inside its process
            return
        deadline = self._job.deadline_at
        if deadline is not None and self._clock.now() > deadline:
            self._stop = self._stop or DeadlineExceeded()
        # Renewed on every tick, even with nothing to publish, because the reply reports a cancel.
        moved = self._engine_progress is not None and self._engine_progress.done_px != self._published
        self._renew(self._progress() if moved else None)

    def _renew(self, progress: JobProgress | None) -> None:
        published = self._engine_progress.done_px if self._engine_progress and progress else self._published
        try:
            state = self._store.renew(self._job, lease_s=self._settings.lease_s, progress=progress)
        except ClaimLost as exc:
            self._stop = exc
        except JobNotFound:
            # Either the job was deleted, or Redis lost its data and is being rebuilt.
            if self._records.is_deleted(self._job.id):
                self._stop = Deleted()
        else:
            self._published = published
            if state is JobState.CANCELING and self._stop is None:
                self._stop = Canceled()

    def _progress(self) -> JobProgress | None:
        engine = self._engine_progress
        if engine is None:
            return None
        rate, left = self._rate.update(engine.done_px), self._time_left.estimate()
        return JobProgress(
            octave=engine.octave,
            octaves=engine.octaves,
            iteration=engine.iteration,
            iterations=engine.iterations,
            fraction=round(engine.done_px / engine.total_px, 5),
            pixels_per_second=rate and round(rate),
            eta_seconds=round(left.seconds, 1) if left else None,
            eta_low_seconds=round(left.low, 1) if left else None,
            eta_high_seconds=round(left.high, 1) if left else None,
        )


def _workload_of(job: Job) -> str:
    """Returns what determines, with the tile size, how much a pixel of an octave costs."""
    if not isinstance(job.params, DreamParams):
        return job.kind
    layers = ", ".join(target.layer for target in job.params.layers or ())
    return f"{job.params.model} {layers}{' with a guide' if job.guide else ''}"


class _Rate:
    """Measures pixel-steps per second as an exponential moving average."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: tuple[float, int] | None = None  # None at first: a resumed job does not start at 0
        self._rate: float | None = None

    def update(self, done_px: int) -> float | None:
        """Returns the rate up to now; None until it can be measured."""
        now = self._clock.monotonic()
        if self._last is None:
            self._last = (now, done_px)
            return None
        elapsed, moved = now - self._last[0], done_px - self._last[1]
        if elapsed > 0 and moved > 0:
            share = min(1.0, elapsed / RATE_MEMORY_S) if self._rate else 1.0
            self._rate = (self._rate or 0) * (1 - share) + moved / elapsed * share
            self._last = (now, done_px)
        return self._rate
