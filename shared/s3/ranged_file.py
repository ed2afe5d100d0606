"""Reads an object as a file, fetching only the parts that are asked for."""

import io

from shared.errors import StorageUnavailable
from shared.interfaces import ObjectStorage

FIRST_BYTES = 64 << 10
MAX_BYTES = 8 << 20  # fetched at once, when reading goes on near where the last piece ended


class RangedFile(io.RawIOBase):
    """A readable, seekable file. Holds one piece of the object; pieces grow while they are read in order.

    Raises StorageUnavailable (retryable), also when the object disappears.
    """

    def __init__(self, storage: ObjectStorage, key: str, size_bytes: int) -> None:
        super().__init__()
        self._storage = storage
        self._key = key
        self._size = size_bytes
        self._at = 0
        self._piece = b""
        self._piece_at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, start + offset)
        return self._at

    def read(self, size: int | None = -1) -> bytes:
        left = max(0, self._size - self._at)
        wanted = left if size is None or size < 0 else min(size, left)
        collected = bytearray()
        while len(collected) < wanted:
            start = self._at - self._piece_at
            if not 0 <= start < len(self._piece):
                self._fetch()
                start = 0
            taken = self._piece[start : start + wanted - len(collected)]
            collected += taken
            self._at += len(taken)
        return bytes(collected)

    def _fetch(self) -> None:
        ahead = self._at - (self._piece_at + len(self._piece))
        in_order = self._piece and 0 <= ahead <= FIRST_BYTES  # a chain of headers skips what lies between them
        size = min(MAX_BYTES, 2 * len(self._piece)) if in_order else FIRST_BYTES
        piece = self._storage.read(self._key, self._at, min(size, self._size - self._at))
        if not piece:
            raise StorageUnavailable("The object storage has lost an object that was just there; try again.")
        self._piece, self._piece_at = piece, self._at
