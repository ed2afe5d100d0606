"""Extends the proxy in front of S3 by troubles of its protocol: 5xx, a full store, lists that are out of date."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

from tests.chaos.network.tcp_proxy import TcpProxy, Trouble

FAILING_SHARE = 0.5
HEAD_BYTES = 64 << 10


@dataclass(frozen=True)
class S3Trouble(Trouble):
    """5xx: half of all requests fail, and half of those have taken effect.   full: writes are refused with 507.

    stale lists: a list that was asked for once is answered in the same way until the trouble ends.
    """

    s3_kind: Literal["none", "5xx", "full", "stale lists"] = "none"


class S3Link(TcpProxy):
    """Reads requests only while such a trouble lasts; otherwise it forwards bytes."""

    _lists: dict[bytes, bytes]

    def _set(self, trouble: Trouble) -> None:
        self._lists = {}
        super()._set(trouble)

    @property
    def is_disturbed(self) -> bool:
        return super().is_disturbed or self._s3_kind != "none"

    @property
    def _s3_kind(self) -> str:
        return self._trouble.s3_kind if isinstance(self._trouble, S3Trouble) else "none"

    def _breaks_connections(self, trouble: Trouble) -> bool:
        # Open connections carry bytes that nobody reads: their clients have to connect again.
        return super()._breaks_connections(trouble) or isinstance(trouble, S3Trouble)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._s3_kind == "none":
            await super()._serve(reader, writer)
            return
        with suppress(OSError, asyncio.IncompleteReadError):
            await self._serve_request(reader, writer)
        writer.close()

    async def _serve_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answers one request and closes the connection: responses then need no parsing, since they end with it."""
        head = await reader.readuntil(b"\r\n\r\n")
        line, *fields = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (field.partition(b":") for field in fields)}
        if b"expect" in headers:
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(headers.get(b"content-length", 0)))
        kept = [field for field in fields if field.partition(b":")[0].lower() not in {b"expect", b"connection"}]
        request = b"\r\n".join([line, *kept, b"Connection: close", b"", b""]) + body
        method, path, _ = line.split(b" ")
        writer.write(await self._respond(method, path, request))
        await writer.drain()

    async def _respond(self, method: bytes, path: bytes, request: bytes) -> bytes:
        kind = self._s3_kind
        if kind == "full" and method == b"PUT":
            return _refusal(b"507 Insufficient Storage", b"XMinioStorageFull")
        if kind == "5xx" and self._random.random() < FAILING_SHARE:
            if self._random.random() < 0.5:
                await self._forward(request)
            return _refusal(b"503 Service Unavailable", b"SlowDown")
        if kind == "stale lists" and method == b"GET" and b"list-type=2" in path:
            if path not in self._lists:
                self._lists[path] = await self._forward(request)
            return self._lists[path]
        return await self._forward(request)

    async def _forward(self, request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(*self.target)
        try:
            writer.write(request)
            await writer.drain()
            return await reader.read()
        finally:
            writer.close()


def _refusal(status: bytes, code: bytes) -> bytes:
    body = b"<Error><Code>" + code + b"</Code></Error>"
    head = [b"HTTP/1.1 " + status, b"Content-Type: application/xml", b"Connection: close"]
    return b"\r\n".join([*head, b"Content-Length: %d" % len(body), b"", b""]) + body
