"""Replaces `threading`, `tempfile` and random ids, so that the product's own threads run under the scheduler."""

import errno
import random
import secrets
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from types import SimpleNamespace
from unittest import mock

import ulid

from tests.simulation.scheduler import Scheduler, Task

THREADED = ("worker.attempts.lease", "worker.background", "worker.attempts.checkpoints")
SPOOLING = (
    *("worker.attempts.attempt", "worker.attempts.checkpoints", "worker.attempts.outputs"),
    *("worker.host", "api.jobs.image_intake"),
)
POOLED = ("shared.webhooks.dispatcher", "worker.recovery.reconciliation")


class Event:
    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._set = False
        self._waiters: list[Task] = []

    def is_set(self) -> bool:
        return self._set

    def set(self) -> None:
        self._set = True
        self._scheduler.wake(self._waiters)

    def clear(self) -> None:
        self._set = False

    def wait(self, timeout: float | None = None) -> bool:
        if not self._set:
            self._scheduler.wait(self._waiters, timeout)
        return self._set


class Thread:
    def __init__(
        self, scheduler: Scheduler, target: Callable[..., object], args: tuple = (), name: str = "", daemon=None
    ) -> None:
        self._scheduler = scheduler
        self._work = partial(target, *args)
        self._name = name
        self._ended = Event(scheduler)
        self._started = False

    def start(self) -> None:
        current = self._scheduler.current
        self._started = True
        self._scheduler.spawn(current.process, f"{current.name}.{self._name}", self._run)

    def is_alive(self) -> bool:
        return self._started and not self._ended.is_set()

    def join(self, timeout: float | None = None) -> None:
        self._ended.wait(timeout)

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._ended.set()


class Pool:
    """Implements the part of ThreadPoolExecutor that the product uses."""

    def __init__(self, scheduler: Scheduler, max_workers: int) -> None:
        self._scheduler = scheduler
        self._workers = max_workers

    def __enter__(self) -> "Pool":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def map(self, action: Callable[..., object], items: Iterable[object]) -> list[object]:
        work = list(enumerate(items))
        results: dict[int, object] = {}
        errors: list[Exception] = []

        def take() -> None:
            while work:
                index, item = work.pop(0)
                try:
                    results[index] = action(item)
                except Exception as exc:  # noqa: BLE001 - raised in the caller, as by ThreadPoolExecutor
                    errors.append(exc)

        workers = [Thread(self._scheduler, take, name="pool") for _ in range(min(self._workers, len(work)))]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
        if errors:
            raise errors[0]
        return [results[index] for index in sorted(results)]


class Threads:
    """Implements the part of `threading` that the product uses."""

    def __init__(self, scheduler: Scheduler) -> None:
        self.Event = partial(Event, scheduler)
        self.Thread = partial(Thread, scheduler)
        self.Lock = SimpleNamespace  # no switch of tasks under a lock: no interface is called there


class Spool:
    """Wraps a temporary file on a disk that may be full."""

    def __init__(self, scheduler: Scheduler, file) -> None:
        self._process = scheduler.current.process
        self._file = file

    def __getattr__(self, name: str):
        if name in {"write", "flush", "truncate", "fileno"} and self._process.disk_is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return getattr(self._file, name)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


@contextmanager
def under(scheduler: Scheduler, rng: random.Random) -> Iterator[Threads]:
    """Replaces the product's threads, files and random numbers by those of the scheduler and the seed."""
    threads = Threads(scheduler)
    make_file = tempfile.TemporaryFile
    spools = SimpleNamespace(TemporaryFile=lambda: Spool(scheduler, make_file()))
    names = ulid.ULIDGenerator(randomness=lambda _: rng.randbytes(10))
    with ExitStack() as patches:
        for module in THREADED:
            patches.enter_context(mock.patch(f"{module}.threading", threads))
        for module in SPOOLING:
            patches.enter_context(mock.patch(f"{module}.tempfile", spools))
        for module in POOLED:
            patches.enter_context(mock.patch(f"{module}.ThreadPoolExecutor", partial(Pool, scheduler)))
        patches.enter_context(mock.patch.object(secrets, "token_hex", lambda n=16: rng.randbytes(n).hex()))
        patches.enter_context(mock.patch.object(secrets, "token_bytes", lambda n=32: rng.randbytes(n)))
        patches.enter_context(mock.patch("ulid.default_generator", names))
        yield threads
