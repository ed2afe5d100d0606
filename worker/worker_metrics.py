"""What a worker and the caretaker measure. Base units; a job's id is for the log and never in a label."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge, Histogram

from shared.jobs import Job, JobState

if TYPE_CHECKING:
    from worker.dream.observer import EngineProgress  # numpy comes with it, which the caretaker does without

ATTEMPTS = Counter(
    "dream_attempts",
    "Attempts ended: succeeded, failed, canceled, drained, abandoned (the claim was lost) or adopted (it had ended).",
    ["kind", "end"],
)
QUEUE_WAIT = Histogram(
    "dream_queue_wait_seconds",
    "From a job's submission to its first claim.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 30, 60, 300, 900, 3600, 14400),
)
FIRST_ITERATION = Histogram(
    "dream_first_iteration_seconds",
    "From a job's submission to the end of its first iteration, on its first attempt.",
    buckets=(0.05, 0.1, 0.15, 0.25, 0.5, 1, 2.5, 5, 30, 60, 300, 900, 3600, 14400),
)
PIXEL_STEPS = Counter("dream_pixel_steps", "Pixels taken through one iteration each; its rate is the speed.")
OCTAVE = Histogram(
    "dream_octave_seconds", "One octave's iterations.", buckets=(0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)
)
CHECKPOINT = Histogram(
    "dream_checkpoint_seconds", "One checkpoint's way to S3.", buckets=(0.01, 0.05, 0.1, 0.5, 1, 2.5, 5, 10, 30, 60)
)
MODEL_MEMORY = Gauge("dream_model_memory_bytes", "What loading that network took of the process' memory.", ["model"])
DEVICE_MEMORY = Gauge("dream_device_memory_bytes", "Memory of the GPU that TensorFlow has taken; 0 without one.")
LAPSED = Counter("dream_lapsed_leases", "Leases that ran out, by what became of the job.", ["state"])


def claimed(job: Job) -> None:
    """A job's first claim tells how long it waited; a later one only how long the earlier took."""
    if job.attempt == 1 and job.started_at is not None:
        QUEUE_WAIT.observe(max(0.0, job.started_at - job.created_at))


def attempt_ended(job: Job, end: str) -> None:
    ATTEMPTS.labels(job.kind, end).inc()


def lapsed(state: JobState) -> None:
    """What became of a job whose lease ran out: queued again, or ended."""
    LAPSED.labels(state).inc()


def resident_bytes() -> int:
    """What this process holds of the machine's memory; 0 where the system does not tell."""
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


class Pace:
    """From one attempt's marks: pixel-steps, and how long each octave took."""

    def __init__(self) -> None:
        self._done_px: int | None = None  # the first mark of a resumed dream does not start at 0
        self._octave: int | None = None
        self._octave_began: float | None = None

    def mark(self, mark: "EngineProgress", now: float) -> None:
        if self._done_px is not None:
            PIXEL_STEPS.inc(max(0, mark.done_px - self._done_px))
        self._done_px = mark.done_px
        if mark.octave != self._octave:
            self._octave, self._octave_began = mark.octave, now

    def octave_done(self, now: float) -> None:
        if self._octave_began is not None:
            OCTAVE.observe(now - self._octave_began)
