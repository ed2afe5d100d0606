"""Defines the metrics of workers and the caretaker, in base units. Job ids belong in logs, never in labels."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from shared.jobs.job import Job, JobState

if TYPE_CHECKING:
    from worker.dream.progress.observer import EngineProgress  # it imports NumPy, which the caretaker does without

ATTEMPTS = Counter(
    "dream_attempts",
    "Ended attempts by result: succeeded, failed, canceled, drained, returned (unfit host), abandoned, adopted.",
    ["kind", "end"],
)
QUEUE_WAIT = Histogram(
    "dream_queue_wait_seconds",
    "Time from a job's submission to its first claim.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 900, 3600, 14400),
)
FIRST_ITERATION = Histogram(
    "dream_first_iteration_seconds",
    "Time from a job's submission to the end of its first iteration, first attempts only.",
    buckets=(0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 30, 60, 300, 900, 3600, 14400),
)
PIXEL_STEPS = Counter("dream_pixel_steps", "Pixels multiplied by the iterations run on them; its rate is the speed.")
OCTAVE = Histogram(
    "dream_octave_seconds",
    "Duration of the iterations of one octave.",
    buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
CHECKPOINT = Histogram(
    "dream_checkpoint_seconds",
    "Duration of one checkpoint upload to S3.",
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60),
)
MODEL_MEMORY = Gauge("dream_model_memory_bytes", "Process memory taken by loading that network.", ["model"])
DEVICE_MEMORY = Gauge("dream_device_memory_bytes", "GPU memory allocated by TensorFlow; 0 without a GPU.")
TILES_FOR_OTHERS = Counter("dream_tiles_for_others", "Tiles that this worker computed of other workers' dreams.")
TILES_BY_HELPERS = Counter("dream_tiles_by_helpers", "Tiles of this worker's dreams that other workers computed.")
LEASES_EXPIRED = Counter("dream_leases_expired", "Expired leases, by the job's state afterwards.", ["state"])


def claimed(job: Job) -> None:
    """Records how long the job waited; only on its first claim, because later ones include earlier attempts."""
    if job.attempt == 1 and job.started_at is not None:
        QUEUE_WAIT.observe(max(0.0, job.started_at - job.created_at))


def attempt_ended(job: Job, end: str) -> None:
    ATTEMPTS.labels(job.kind, end).inc()


def lease_expired(state: JobState) -> None:
    """Counts an expired lease by the job's new state: queued again, or terminal."""
    LEASES_EXPIRED.labels(state).inc()


def resident_bytes() -> int:
    """Returns this process's resident memory; 0 on systems without /proc."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class Pace:
    """Derives pixel-steps and octave durations from one attempt's progress."""

    def __init__(self) -> None:
        self._done_px: int | None = None  # a resumed dream does not start at 0
        self._octave: int | None = None
        self._octave_began: float | None = None

    def update(self, mark: "EngineProgress", now: float) -> None:
        if self._done_px is not None:
            PIXEL_STEPS.inc(max(0, mark.done_px - self._done_px))
        self._done_px = mark.done_px
        if mark.octave != self._octave:
            self._octave, self._octave_began = mark.octave, now

    def octave_done(self, now: float) -> None:
        if self._octave_began is not None:
            OCTAVE.observe(now - self._octave_began)
