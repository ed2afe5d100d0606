"""An HTTP server in memory: calls an ASGI application with a request whose body comes in pieces."""

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


@dataclass
class Exchange:
    """One request and what was answered."""

    method: str
    path: str
    headers: dict[str, str] = field(default_factory=dict)
    pieces: Sequence[bytes] = ()
    stalls: bool = False  # sends its pieces and then nothing more, not even the end
    client: str = "127.0.0.1"
    on_piece: Callable[[bytes], None] = lambda _: None
    read: int = 0  # how many pieces the application has taken
    status: int = 0
    answer_headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    done: bool = False

    def __post_init__(self) -> None:
        self.leaves = asyncio.Event()  # the client closes the connection

    @property
    def json(self):
        return json.loads(self.body)

    async def run(self, app) -> "Exchange":
        path, _, query = self.path.partition("?")
        headers = {"Host": "localhost", **self.headers}
        scope = {
            "type": "http",
            "method": self.method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "http_version": "1.1",
            "server": ("127.0.0.1", 8000),
            "client": (self.client, 50000),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers.items()],
        }
        await app(scope, self._receive, self._send)
        return self

    async def _receive(self):
        if self.done:
            await self.leaves.wait()
        if self.read < len(self.pieces):
            piece = self.pieces[self.read]
            self.read += 1
            last = self.read == len(self.pieces) and not self.stalls
            return {"type": "http.request", "body": piece, "more_body": not last}
        if not self.pieces and not self.stalls and self.read == 0:
            self.read += 1
            return {"type": "http.request", "body": b"", "more_body": False}
        await self.leaves.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.answer_headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            self.body += message.get("body", b"")
            self.on_piece(message.get("body", b""))
            self.done = not message.get("more_body", False)
