"""Server-sent events of one job."""

from collections.abc import Iterator
from dataclasses import replace

from api.schemas.job_view import JobView
from api.wiring import Services
from shared.errors import DreamError, JobNotFound, TooManyStreams
from shared.jobs.fleet import Fleet
from shared.jobs.job import Job, JobState
from shared.jobs.job_events import JobEvent

KEEPALIVE_S = 15.0  # proxies close connections that are silent for a minute
QUEUE_POLL_S = 5.0  # a waiting job moves up in the queue without changing itself
RECONNECT_MS = 2000


def stream(services: Services, job: Job, after: int | None) -> Iterator[str]:
    """Yields the job's events as text, from version `after` on, or from now.

    Raises TooManyStreams before the first event when every slot is taken, or every one that the owner may have.
    """
    if not services.slots.acquire(job.owner):
        raise TooManyStreams
    return _SlotHolder(services, job.owner, _events(services, job, after))


class _SlotHolder:
    """Releases the stream's slot however the stream ends, even if no line of it was read."""

    def __init__(self, services: Services, owner: str, events: Iterator[str]) -> None:
        self._services = services
        self._owner = owner
        self._events = events
        self._held = True

    def __iter__(self) -> "_SlotHolder":
        return self

    def __next__(self) -> str:
        return next(self._events)

    def close(self) -> None:
        """Releases the slot. WSGI servers call it when the response is complete or its client is gone."""
        if self._held:
            self._held = False
            self._services.slots.release(self._owner)


def _events(services: Services, job: Job, after: int | None) -> Iterator[str]:
    ends_at = services.clock.monotonic() + services.settings.stream_limit_s
    first = f"retry: {RECONNECT_MS}\n"  # a field of the first event: by itself it would be one without data
    reader = _EventReader(services, job, after)
    with services.subscriptions.subscribe(job.id) as subscription:
        quiet_since = services.clock.monotonic() - KEEPALIVE_S  # without an event, a comment sends the headers at once
        while not (reader.ended or services.subscriptions.closed):
            events = reader.read()
            if events:
                quiet_since = services.clock.monotonic()
                yield first + "".join(events)
                first = ""
            now = services.clock.monotonic()
            if reader.ended or now >= ends_at:
                return
            if now - quiet_since >= KEEPALIVE_S:
                quiet_since = now
                yield ": keepalive\n\n"
            subscription.wait(min(KEEPALIVE_S - (now - quiet_since), ends_at - now, reader.poll_s))


class _EventReader:
    """Reads the events that one stream has not sent yet."""

    def __init__(self, services: Services, job: Job, after: int | None) -> None:
        self._services = services
        self._job = job
        self._sent = after  # version of the job
        self._position: int | None = None
        self._fleet = ""
        self.ended = False

    @property
    def poll_s(self) -> float:
        """Seconds after which to read again even if no change was published."""
        return QUEUE_POLL_S if self._position is not None else KEEPALIVE_S

    def read(self) -> list[str]:
        """Returns the events since the last call; none while Redis is unavailable."""
        try:
            fleet_tag = self._services.jobs.fleet_tag()
            polled = self._services.jobs.poll(self._job.owner, self._job.id, cursor=self._cursor(fleet_tag))
            if polled.job is None:
                return []
            missed = self._missed()
        except JobNotFound:
            self.ended = True
            return ["event: deleted\ndata: {}\n\n"]
        except DreamError:
            return []
        job = polled.job
        events = [_event(_as_of(job, event), None) for event in missed if event.version < job.version]
        fleet = self._services.jobs.fleet() if job.state is JobState.QUEUED else None
        events.append(_event(job, polled.position, fleet))
        if any(event.preview for event in missed):
            events.append("event: preview\ndata: {}\n\n")
        self._job, self._sent, self._position, self._fleet = job, job.version, polled.position, fleet_tag
        self.ended = job.state.is_terminal
        return events

    def _missed(self) -> list[JobEvent]:
        if self._sent is None:
            return []
        return list(self._services.job_queries.events_after(self._job.id, after=self._sent))

    def _cursor(self, fleet: str) -> tuple[int, int | None] | None:
        fleet_changed = self._position is not None and fleet != self._fleet
        return None if self._sent is None or fleet_changed else (self._sent, self._position)


def _event(job: Job, position: int | None, fleet: Fleet | None = None) -> str:
    return f"id: {job.version}\nevent: job\ndata: {JobView.of(job, position, fleet).model_dump_json()}\n\n"


def _as_of(job: Job, event: JobEvent) -> Job:
    """Returns the job as an earlier event left it, as far as events keep it."""
    earlier = replace(job, version=event.version, state=event.state, progress=event.progress)
    return earlier if event.state.is_terminal else replace(earlier, finished_at=None, error=None)
