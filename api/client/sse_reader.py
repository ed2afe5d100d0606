"""Server-Sent Events, read line by line."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from api.schemas.job_view import JobView


@dataclass(frozen=True, kw_only=True)
class Event:
    """One event of a job's stream."""

    name: str  # `job`, `preview`, `deleted`, or one that a newer server has
    id: str | None
    data: Any  # JSON

    @property
    def job(self) -> JobView | None:
        """The whole job as the event left it."""
        return JobView.model_validate_json(json.dumps(self.data), extra="ignore") if self.name == "job" else None

    @property
    def is_last(self) -> bool:
        job = self.job
        return self.name == "deleted" or (job is not None and job.state.is_terminal)


def read_events(lines: Iterable[str]) -> Iterator[Event]:
    """Source: https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation"""
    fields: dict[str, str] = {}
    for line in lines:
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(":")
            fields[name] = value.removeprefix(" ")
            continue
        if "data" in fields:
            yield Event(name=fields.get("event", "message"), id=fields.get("id"), data=json.loads(fields["data"]))
        fields = {}
