"""The position of a polling client: the ETag of its last response, sent back in `If-None-Match`."""

import re
from dataclasses import dataclass

from flask import Request

ETAG = re.compile(r'^"(\d{1,20})-(?:(\d{1,12})-([0-9a-f]{0,8}))?"$')


@dataclass(frozen=True)
class PollCursor:
    """The version of a job that a client has received."""

    version: int
    position: int | None  # in the queue; None unless the job waited
    fleet: str  # tag of the models that live workers served; it decides `waiting_for` of a queued job

    @classmethod
    def from_request(cls, request: Request) -> "PollCursor | None":
        """Reads `If-None-Match`; None unless it names exactly one ETag of this service."""
        found = ETAG.match(request.headers.get("If-None-Match", "").strip().removeprefix("W/"))
        return cls(int(found[1]), int(found[2]) if found[2] else None, found[3] or "") if found else None

    def etag(self) -> str:
        """Formats the cursor as an ETag. It includes queue position and fleet only while the job waits."""
        return f'"{self.version}-"' if self.position is None else f'"{self.version}-{self.position}-{self.fleet}"'
