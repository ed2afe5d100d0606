"""Threads on which the application runs, in shares, so that no kind of request takes them all."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Overloaded(Exception):
    """Too many requests wait for a thread of this share."""


class Share:
    """A pool of threads with a bounded queue."""

    def __init__(self, name: str, threads: int, *, waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._limit = threads + waiting
        self._busy = 0

    async def run(self, work: Callable[..., T], *args: object) -> T:
        """Returns what the work returns. Raises Overloaded."""
        if self._busy >= self._limit:
            raise Overloaded
        self._busy += 1
        future = asyncio.get_running_loop().run_in_executor(self._pool, work, *args)
        future.add_done_callback(self._done)
        return await future

    def _done(self, _: object) -> None:
        self._busy -= 1

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)
