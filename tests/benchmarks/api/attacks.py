"""What hostile connections do, each chosen by a seed."""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

PAUSE_S = (1.0, 5.0)  # before a connection that was closed comes back


@dataclass
class Hostile:
    """One hostile connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    rng: random.Random
    head: bytes  # headers that every request has

    def request(self, method: str, path: str, *headers: str) -> bytes:
        lines = "".join(f"{header}\r\n" for header in headers)
        return f"{method} {path} HTTP/1.1\r\n{lines}".encode() + self.head + b"\r\n"

    async def trickle(self, data: bytes) -> None:
        for byte in data:
            self.writer.write(bytes([byte]))
            await self.writer.drain()
            await asyncio.sleep(self.rng.uniform(0.5, 2))

    async def say(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()
        await self.reader.read(65536)


async def idle(hostile: Hostile) -> None:
    await hostile.reader.read(1)


async def slow_head(hostile: Hostile) -> None:
    await hostile.trickle(hostile.request("GET", "/v1/models"))


async def slow_body(hostile: Hostile) -> None:
    form = hostile.request("POST", "/v1/jobs", "Content-Type: multipart/form-data; boundary=B", "Content-Length: 5000")
    hostile.writer.write(form)
    await hostile.trickle(b"-" * 5000)


async def slow_json(hostile: Hostile) -> None:
    path = hostile.rng.choice(["/v1/session", "/v1/jobs", "/v1/uploads"])
    hostile.writer.write(hostile.request("POST", path, "Content-Type: application/json", "Content-Length: 900"))
    await hostile.trickle(b"{" * 900)


async def slow_chunks(hostile: Hostile) -> None:
    kind = "Content-Type: multipart/form-data; boundary=B"
    hostile.writer.write(hostile.request("POST", "/v1/jobs", kind, "Transfer-Encoding: chunked"))
    await hostile.trickle(b"1\r\nx\r\n" * 1000)


async def slow_reader(hostile: Hostile) -> None:
    hostile.writer.write(hostile.request("GET", "/openapi.json") * 20)
    while await hostile.reader.read(1):
        await asyncio.sleep(1)


async def nested(hostile: Hostile) -> None:
    body = b"[" * 250_000
    await hostile.say(_json(hostile, "/v1/jobs", body))


async def unknown_members(hostile: Hostile) -> None:
    body = json.dumps({f"itterations{n}": n for n in range(9_000)}).encode()
    await hostile.say(_json(hostile, "/v1/jobs", body))


async def too_large(hostile: Hostile) -> None:
    path = hostile.rng.choice(["/v1/session", "/v1/keys", "/v1/jobs"])
    await hostile.say(_json(hostile, path, b'{"key": "' + b"a" * 2_000_000 + b'"}'))


async def a_broken_picture(hostile: Hostile) -> None:
    picture = b"\x89PNG\r\n\x1a\n" + hostile.rng.randbytes(500_000)
    body = b'--B\r\nContent-Disposition: form-data; name="image"; filename="a"\r\n\r\n' + picture + b"\r\n--B--\r\n"
    kind, length = "Content-Type: multipart/form-data; boundary=B", f"Content-Length: {len(body)}"
    await hostile.say(hostile.request("POST", "/v1/jobs", kind, length) + body)


async def not_http(hostile: Hostile) -> None:
    await hostile.say(hostile.rng.randbytes(hostile.rng.randint(1, 5000)))


async def endless_headers(hostile: Hostile) -> None:
    await hostile.say(hostile.request("GET", "/v1/models", f"X-Long: {'a' * 200_000}"))


async def malformed_chunks(hostile: Hostile) -> None:
    kind = "Content-Type: application/json"
    await hostile.say(hostile.request("POST", "/v1/uploads", kind, "Transfer-Encoding: chunked") + b"zz\r\nnonsense")


async def pipelined(hostile: Hostile) -> None:
    await hostile.say(hostile.request("GET", "/v1/nothing") * 50)


async def gone(hostile: Hostile) -> None:
    hostile.writer.write(hostile.request("GET", "/v1/jobs"))


ATTACKS: tuple[tuple[Callable[[Hostile], Awaitable[None]], int], ...] = (
    # With their weights: most only hold a connection, as slow clients do.
    *((idle, 10), (slow_head, 10), (slow_body, 45), (slow_json, 10), (slow_chunks, 10), (slow_reader, 5)),
    *((nested, 2), (unknown_members, 2), (too_large, 3), (a_broken_picture, 3), (not_http, 5), (endless_headers, 3)),
    *((malformed_chunks, 3), (pipelined, 2), (gone, 2)),
)


async def attack(
    url: str, key: str, *, connections: int, seed: int, on_attack: Callable[[], None] = lambda: None
) -> None:
    """Attacks until it is canceled.

    key: of every second connection.   on_attack: called when a connection is open and begins.
    """
    host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80

    async def one(number: int) -> None:
        rng = random.Random(f"{seed} {number}")
        from_address = f"127.0.1.{number % 250 + 1}"  # not the honest clients'; Linux has all of 127.0.0.0/8
        head = f"Host: {host}:{port}\r\n" + (f"Authorization: Bearer {key}\r\n" if number % 2 else "")
        kinds, weights = zip(*ATTACKS, strict=True)
        while True:
            (kind,) = rng.choices(kinds, weights)
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                reader, writer = await asyncio.open_connection(host, port, local_addr=(from_address, 0))
                on_attack()
                try:
                    await kind(Hostile(reader, writer, rng, head.encode()))
                finally:
                    writer.close()
            await asyncio.sleep(rng.uniform(*PAUSE_S))

    await asyncio.gather(*(one(number) for number in range(connections)))


def _json(hostile: Hostile, path: str, body: bytes) -> bytes:
    kind, length = "Content-Type: application/json", f"Content-Length: {len(body)}"
    return hostile.request("POST", path, kind, length) + body
