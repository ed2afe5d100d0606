"""Reads the events of one job from a server-sent events response."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
from httpx_sse import EventSource

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
            yield Event(name=sse.event, id=sse.id or None, data=json.loads(sse.data))
