"""Runs a TCP proxy in front of a service, whose connections can be slowed down, cut, or silenced."""

import asyncio
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

PIECE_BYTES = 4096
# How often a connection is reset, per piece that it carries.
RESET_SHARE = 0.2

Kind = Literal["none", "latency", "bandwidth", "resets", "half-open", "answers lost", "cut off"]


@dataclass(frozen=True)
class Trouble:
    """Describes what is wrong with a connection.

    latency: every piece takes `delay_s`.   bandwidth: `bytes_per_s` in each direction.
    resets: connections break at random.   half-open: nothing arrives, and no connection breaks; what was sent arrives
    when the trouble ends.   answers lost: requests arrive, but the connection breaks before their answers do.
    cut off: every connection breaks.
    """

    kind: Kind = "none"
    delay_s: float = 0.0
    bytes_per_s: float = 0.0


class TcpProxy:
    """Forwards connections on `port` to `target`. Runs on the given event loop; its methods are thread-safe."""

    def __init__(self, target: tuple[str, int], loop: asyncio.AbstractEventLoop, *, seed: int = 0) -> None:
        self.target = target
        self._loop = loop
        self._random = random.Random(seed)
        self._trouble = Trouble()
        self._changed = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server = asyncio.run_coroutine_threadsafe(self._start(), loop).result()
        self.port: int = self._server.sockets[0].getsockname()[1]

    @property
    def is_disturbed(self) -> bool:
        return self._trouble.kind != "none"

    def disturb(self, trouble: Trouble) -> None:
        """Replaces the present trouble. Resets and cuts break the connections that are open now."""
        self._loop.call_soon_threadsafe(self._set, trouble)

    def calm(self) -> None:
        self.disturb(Trouble())

    def stop(self) -> None:
        async def close() -> None:
            self._server.close()
            self._abort_all()

        asyncio.run_coroutine_threadsafe(close(), self._loop).result()

    def _set(self, trouble: Trouble) -> None:
        self._trouble = trouble
        self._changed.set()
        self._changed = asyncio.Event()
        if self._breaks_connections(trouble):
            self._abort_all()

    def _breaks_connections(self, trouble: Trouble) -> bool:
        return trouble.kind in {"resets", "cut off"}

    async def _start(self) -> asyncio.Server:
        return await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._trouble.kind == "cut off":
            writer.transport.abort()
            return
        try:
            to_reader, to_writer = await asyncio.open_connection(*self.target)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, to_writer}
        self._writers |= both
        try:
            await asyncio.gather(
                self._pump(reader, to_writer, answers=False), self._pump(to_reader, writer, answers=True)
            )
        except OSError:
            pass  # one side has closed the connection
        finally:
            self._writers -= both
            for end in both:
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, answers: bool) -> None:
        while piece := await reader.read(PIECE_BYTES):
            await self._hold_up(len(piece), answers=answers)
            writer.write(piece)
            await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    async def _hold_up(self, size: int, *, answers: bool) -> None:
        """Returns when the piece may pass. Raises ConnectionResetError if the connection breaks instead."""
        while self._trouble.kind == "half-open":
            await self._changed.wait()
        trouble = self._trouble
        if trouble.kind == "cut off" or (trouble.kind == "answers lost" and answers):
            raise ConnectionResetError
        if trouble.kind == "resets" and self._random.random() < RESET_SHARE:
            raise ConnectionResetError
        if trouble.kind == "latency":
            await asyncio.sleep(trouble.delay_s)
        if trouble.kind == "bandwidth":
            await asyncio.sleep(size / trouble.bytes_per_s)

    def _abort_all(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


@contextmanager
def event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """Runs an event loop on another thread."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="proxies", daemon=True)
    thread.start()
    try:
        yield loop
    finally:
        asyncio.run_coroutine_threadsafe(_cancel_all(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@contextmanager
def tcp_proxy(target: tuple[str, int]) -> Iterator[TcpProxy]:
    with event_loop() as loop:
        running = TcpProxy(target, loop)
        try:
            yield running
        finally:
            running.stop()
