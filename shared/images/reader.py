"""Reads a file's header in bounded steps, so that a hostile file costs no more than a real one."""

import io
from typing import Protocol

from shared.errors import ImageUnreadable
from shared.images.header import CUT_OFF

MAX_STEPS = 50_000  # parts of a file, for each 256 MB; in the pieces of 8 KB that libpng writes those are 33,000
STEPS_BYTES = 256 << 20
MAX_READ_BYTES = 112 << 20  # of headers and tables, and of a GIF's first frame; other pixels are not read
WINDOW_BYTES = 4096  # read at once, because headers are read in small pieces
SCAN_BYTES = 1 << 20


class Readable(Protocol):
    """What is read of a file."""

    def seek(self, offset: int, whence: int = 0, /) -> int: ...
    def read(self, size: int = -1, /) -> bytes: ...


class Reader:
    """Reads at any place. Raises ImageUnreadable beyond the end, and when a budget is used up."""

    def __init__(self, file: Readable) -> None:
        self._file = file
        self.size = file.seek(0, io.SEEK_END)
        self._max_steps = MAX_STEPS * max(1.0, self.size / STEPS_BYTES)
        self._steps = 0.0
        self._read_bytes = 0
        self._window = b""
        self._window_at = 0

    def step(self, weight: float = 1) -> None:
        """Counts one part of the file. Raises ImageUnreadable after too many."""
        self._steps += weight
        if self._steps > self._max_steps:
            raise ImageUnreadable("The image file has more parts than any picture needs.")

    def read(self, at: int, size: int) -> bytes:
        """Returns exactly `size` bytes."""
        if at < 0 or size < 0 or at + size > self.size:
            raise ImageUnreadable(CUT_OFF)
        offset = at - self._window_at
        if offset < 0 or offset + size > len(self._window):
            self._read_bytes += max(size, 1)
            if self._read_bytes > MAX_READ_BYTES:
                raise ImageUnreadable("The image's header is larger than any picture needs; strip its metadata.")
            self._file.seek(at)
            self._window, self._window_at, offset = self._file.read(max(size, WINDOW_BYTES)), at, 0
        return self._window[offset : offset + size]

    def up_to(self, at: int, size: int) -> bytes:
        """Returns up to `size` bytes: fewer at the end of the file."""
        return self.read(at, max(0, min(size, self.size - at)))

    def number(self, at: int, size: int, order: str = "big") -> int:
        return int.from_bytes(self.read(at, size), order)  # type: ignore[arg-type]

    def find(self, needle: bytes, at: int) -> int:
        """Returns where the bytes first occur from there on, -1 if they don't."""
        self._file.seek(at)
        kept = b""
        while piece := self._file.read(SCAN_BYTES):
            found = (kept + piece).find(needle)
            if found >= 0:
                return at - len(kept) + found
            at += len(piece)
            kept = (kept + piece)[1 - len(needle) :]
        return -1
