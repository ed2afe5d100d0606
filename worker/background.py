"""Work that goes on beside the dream, one piece at a time, so that a slow S3 never holds the dream up."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import BinaryIO


class BackgroundTask:
    """A daemon thread per piece of work: one that hangs in a socket must not keep the process from ending."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, work: Callable[[], None]) -> bool:
        """False, and nothing happens, while the last piece is not done. `work` handles its own errors."""
        if self.busy:
            return False
        self._thread = threading.Thread(target=copy_context().run, args=(work,), name=self._name, daemon=True)
        self._thread.start()
        return True

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()


class ActivityFile:
    """A file whose reads and writes are noticed: bytes that move are a sign of life."""

    def __init__(self, file: BinaryIO, moved: Callable[[], None]) -> None:
        self._file = file
        self._moved = moved

    def read(self, size: int = -1) -> bytes:
        self._moved()
        return self._file.read(size)

    def write(self, piece: bytes) -> int:
        self._moved()
        return self._file.write(piece)

    def __getattr__(self, name: str) -> object:
        return getattr(self._file, name)
