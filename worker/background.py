"""Runs work on a background thread, one item at a time, so that a slow S3 never blocks the engine."""

import threading
from collections.abc import Callable
from contextvars import copy_context
from typing import BinaryIO


class BackgroundTask:
    """Runs each item on a new daemon thread, because an item that hangs in a socket must not keep the process alive."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._thread: threading.Thread | None = None

    @property
    def busy(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def start(self, work: Callable[[], None]) -> bool:
        """Starts `work`, which handles its own errors. Returns False, without starting it, while the last item runs."""
        if self.busy:
            return False
        self._thread = threading.Thread(target=copy_context().run, args=(work,), name=self._name, daemon=True)
        self._thread.start()
        return True

    def wait(self) -> None:
        if self._thread is not None:
            self._thread.join()


class ActivityFile:
    """Wraps a file and reports every read and write, so that a transfer counts as progress."""

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
