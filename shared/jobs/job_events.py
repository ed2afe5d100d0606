"""Interfaces for following jobs: polls, job events and subscriptions. Tests use in-memory fakes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Protocol

from shared.jobs.job import Job, JobProgress, JobState
from shared.rate_limit import RateLimit, RateLimitUsage


@dataclass(frozen=True, kw_only=True)
class PollResult:
    """The result of a poll."""

    job: Job | None  # None: nothing changed since the client's cursor, or there is no such job
    position: int | None = None
    known: bool = True  # False: Redis has no such job; S3 may have it
    foreign: bool = False  # the job belongs to another owner
    usage: RateLimitUsage | None = None


@dataclass(frozen=True, kw_only=True)
class JobEvent:
    """One entry of a job's event stream."""

    version: int
    state: JobState
    progress: JobProgress
    preview: bool  # a new preview was stored


class JobQueries(Protocol):
    """Reads about jobs. Every call raises StoreUnavailable (retryable) when Redis does not answer."""

    def poll(
        self,
        job_id: str,
        owner: str,
        *,
        cursor: tuple[int, int | None] | None = None,
        rate_limit: RateLimit | None = None,
    ) -> PollResult:
        """Returns the owner's job and how many jobs wait before it.

        cursor: version and queue position that the client has seen.
        Raises TooManyRequests when the rate limit is exhausted.
        """

    def events_after(self, job_id: str, *, after: int) -> Sequence[JobEvent]:
        """Returns the job's events after that version, oldest first; at most the last few hundred."""

    def positions(self, jobs: Sequence[Job]) -> dict[str, int]:
        """Returns, for each of these jobs that waits, how many wait before it."""

    def queued(self, owner: str) -> int:
        """Counts the owner's waiting jobs."""


class Subscription(Protocol):
    def wait(self, timeout_s: float) -> bool:
        """Returns True once the job may have changed since the last call, False on timeout."""


class JobSubscriptions(Protocol):
    """Wakes subscribers when a job may have changed; they read the change themselves."""

    closed: bool  # this process is shutting down: stop waiting

    def close(self) -> None:
        """Wakes all subscribers for the last time."""

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Subscription]:
        """Yields a subscription that misses no change until the end of the block."""
