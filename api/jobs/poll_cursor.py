"""The position of a polling client: the ETag of its last response, sent back in `If-None-Match`."""

import re
from dataclasses import dataclass

from flask import Request

ETAG = re.compile(r'(?:^|[\s,])(?:W/)?"(\d{1,20})-(?:(\d{1,12})-([0-9a-f]{0,8}))?"(?=$|[\s,])')


@dataclass(frozen=True)
class PollCursor:
    """The version of a job that a client has received."""

    version: int
    position: int | None  # in the queue; None unless the job waited
    fleet: str  # tag of the models that live workers served; it decides `waiting_for` of a queued job

    @classmethod
    def from_request(cls, request: Request) -> "PollCursor | None":
        """Reads `If-None-Match`, a list of ETags, weak or strong; None unless exactly one of this service is in it."""
        found = set(ETAG.findall(request.headers.get("If-None-Match", "")))
        if len(found) != 1:
            return None
        version, position, fleet = found.pop()
        return cls(int(version), int(position) if position else None, fleet)

    def etag(self) -> str:
        """Formats the cursor as an ETag. It includes queue position and fleet only while the job waits."""
        return f'"{self.version}-"' if self.position is None else f'"{self.version}-{self.position}-{self.fleet}"'
