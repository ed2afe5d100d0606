"""Staying with a job while it changes: until it ends, or as a stream of events."""

import contextlib
from collections.abc import Iterator
from dataclasses import replace

from api import context
from api.context import Services
from api.schemas.jobs import JobView
from shared.errors import DreamError, JobNotFound, TooManyStreams
from shared.follow import Change, Watcher
from shared.jobs import Job, JobState

HEARTBEAT_S = 15.0  # proxies close what is silent for a minute
QUEUE_LOOK_S = 5.0  # a job that waits moves up without changing itself
RECONNECT_MS = 2000


def until_it_ends(job: Job, wait_s: float) -> Job:
    """The job as it is when it has ended or the time is up. At once where too many wait already."""
    services = context.services()
    if job.state.is_terminal or not services.slots.acquire(blocking=False):
        return job
    try:
        with services.changes.watch(job.id) as watcher:
            return _awaited(services, job, watcher, services.clock.monotonic() + wait_s)
    finally:
        services.slots.release()


def _awaited(services: Services, job: Job, watcher: Watcher, until: float) -> Job:
    while True:
        with contextlib.suppress(DreamError):  # what is known is told; the next request says what is wrong
            job = services.jobs.get(job.owner, job.id)
        left_s = until - services.clock.monotonic()
        if job.state.is_terminal or left_s <= 0 or services.changes.closed:
            return job
        watcher.wait(left_s)


def stream(services: Services, job: Job, after: int | None) -> Iterator[str]:
    """The job's events as text, from that version on, or from now. Raises TooManyStreams before the first one."""
    if not services.slots.acquire(blocking=False):
        raise TooManyStreams
    return _Held(services, _events(services, job, after))


class _Held:
    """Gives the slot back however the stream ends, also when nobody read a line of it."""

    def __init__(self, services: Services, events: Iterator[str]) -> None:
        self._services = services
        self._events = events
        self._held = True

    def __iter__(self) -> "_Held":
        return self

    def __next__(self) -> str:
        return next(self._events)

    def close(self) -> None:
        """WSGI calls it when the answer is over, or its reader gone."""
        if self._held:
            self._held = False
            self._services.slots.release()


def _events(services: Services, job: Job, after: int | None) -> Iterator[str]:
    ends_at = services.clock.monotonic() + services.settings.stream_limit_s
    yield f"retry: {RECONNECT_MS}\n\n"
    follower = _Follower(services, job, after)
    with services.changes.watch(job.id) as watcher:
        quiet_since = services.clock.monotonic()
        while not (follower.ended or services.changes.closed):
            news = follower.news()
            if news:
                quiet_since = services.clock.monotonic()
                yield "".join(news)
            now = services.clock.monotonic()
            if follower.ended or now >= ends_at:
                return
            if now - quiet_since >= HEARTBEAT_S:
                quiet_since = now
                yield ": heartbeat\n\n"
            watcher.wait(min(HEARTBEAT_S - (now - quiet_since), ends_at - now, follower.patience_s))


class _Follower:
    """What one stream has told so far."""

    def __init__(self, services: Services, job: Job, after: int | None) -> None:
        self._services = services
        self._job = job
        self._told = after
        self._position: int | None = None
        self._fleet = ""
        self.ended = False

    @property
    def patience_s(self) -> float:
        return QUEUE_LOOK_S if self._position is not None else HEARTBEAT_S

    def news(self) -> list[str]:
        """The events since the last call; none while Redis is away."""
        try:
            fleet = self._services.jobs.fleet_tag()
            seen = self._services.jobs.look(self._job.owner, self._job.id, known=self._known(fleet))
            if seen.job is None:
                return []
            missed = self._services.feed.changes(self._job.id, after=self._told) if self._told is not None else ()
        except JobNotFound:
            self.ended = True
            return ["event: deleted\ndata: {}\n\n"]
        except DreamError:
            return []
        news = [_event(_as_it_was(seen.job, change), None) for change in missed if change.version < seen.job.version]
        served = self._services.jobs.served() if seen.job.state is JobState.QUEUED else None
        news.append(_event(seen.job, seen.position, served))
        if any(change.preview for change in missed):
            news.append("event: preview\ndata: {}\n\n")
        self._job, self._told, self._position = seen.job, seen.job.version, seen.position
        self._fleet = fleet
        self.ended = seen.job.state.is_terminal
        return news

    def _known(self, fleet: str) -> tuple[int, int | None] | None:
        waits_for_another = self._position is not None and fleet != self._fleet
        return None if self._told is None or waits_for_another else (self._told, self._position)


def _event(job: Job, position: int | None, served: frozenset[str] | None = None) -> str:
    return f"id: {job.version}\nevent: job\ndata: {JobView.of(job, position, served).model_dump_json()}\n\n"


def _as_it_was(job: Job, change: Change) -> Job:
    """The job as an earlier change left it, as far as that is kept."""
    was = replace(job, version=change.version, state=change.state, progress=change.progress)
    return was if change.state.is_terminal else replace(was, finished_at=None, error=None)
