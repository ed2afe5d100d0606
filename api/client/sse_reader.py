"""Reads the events of one job from a server-sent events response."""

import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import EventSource, ServerSentEvent

from api.schemas.job_view import JobView


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of a job's stream."""

    name: str  # `job`, `preview`, `deleted`, or a name that only a newer server knows
    id: str | None  # the stream resumes after this event
    data: Any  # JSON

    @property
    def job(self) -> JobView | None:
        """The whole job as of this event; None unless its name is `job`."""
        return JobView.model_validate_json(json.dumps(self.data), extra="ignore") if self.name == "job" else None

    @property
    def is_last(self) -> bool:
        job = self.job
        return self.name == "deleted" or (job is not None and job.state.is_terminal)


def read_events(response: httpx.Response) -> Iterator[Event]:
    """Yields the response's events. Raises httpx.TransportError when it is not an event stream or breaks off."""
    for sse in EventSource(response).iter_sse():
        if sse.data:  # a block that only sets the reconnection time has none
            yield _event(sse)


async def read_events_async(response: httpx.Response) -> AsyncGenerator[Event, None]:
    """Does the same for an asynchronous response."""
    async with aclosing(EventSource(response).aiter_sse()) as blocks:
        async for sse in blocks:
            if sse.data:
                yield _event(sse)


def _event(sse: ServerSentEvent) -> Event:
    return Event(name=sse.event, id=sse.id or None, data=json.loads(sse.data))
