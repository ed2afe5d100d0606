"""What those who follow jobs need of the live state: polls, histories, and to be woken. Tests have in-memory twins."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from shared.jobs import Job, JobProgress, JobState
from shared.rate_limit import RateLimit, RateLimitUsage


@dataclass(frozen=True, kw_only=True)
class PollResult:
    """What a poll saw of a job."""

    job: Job | None  # None: nothing changed since the version and position that the asker knew, or no such job
    position: int | None = None
    known: bool = True  # False: Redis has no such job; it may still be in S3
    foreign: bool = False  # it is another owner's
    usage: RateLimitUsage | None = None


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """One entry of a job's stream."""

    version: int
    state: JobState
    progress: JobProgress
    preview: bool  # a new preview was stored


class JobQueries(Protocol):
    """Every call raises StoreUnavailable (retryable) when Redis is away."""

    def poll(
        self,
        job_id: str,
        owner: str,
        *,
        cursor: tuple[int, int | None] | None = None,
        rate_limit: RateLimit | None = None,
    ) -> PollResult:
        """The owner's job and how many wait before it. known: version and position that the asker has seen.

        Raises TooManyRequests when the rate_limit is used up.
        """

    def events_after(self, job_id: str, *, after: int) -> Sequence[JobEvent]:
        """What happened to the job after that version, oldest first; the last few hundred changes at most."""

    def positions(self, jobs: Sequence[Job]) -> dict[str, int]:
        """How many wait before each of these jobs, of those that wait."""

    def queued(self, owner: str) -> int:
        """How many of the owner's jobs wait."""


class Subscription(Protocol):
    def wait(self, timeout_s: float) -> bool:
        """True once the job may have changed since the last wait, False when the time is up."""


class JobSubscriptions(Protocol):
    """Nothing is promised but to be woken: what has changed, the woken look up themselves."""

    closed: bool  # this process is about to end: nobody should wait any longer

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Subscription]:
        """From here on, until the end of the block, no change goes unnoticed."""
