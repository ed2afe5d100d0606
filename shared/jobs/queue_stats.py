"""Counts of jobs and workers, for metrics, the status page and autoscaling."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from shared.jobs.job import JobState


@dataclass(frozen=True, kw_only=True)
class QueueStats:
    """Counts at one instant."""

    jobs: Mapping[tuple[str, JobState], int] = field(default_factory=dict)  # (kind, state) -> how many
    waiting: Mapping[str, int] = field(default_factory=dict)  # model -> queued jobs that want it
    oldest_queued_s: float = 0.0  # since the oldest queued job was submitted; 0 when nothing waits
    workers: int = 0  # alive
    busy_workers: int = 0  # of them, with a job
    served: frozenset[str] = frozenset()  # models that some live worker can serve
