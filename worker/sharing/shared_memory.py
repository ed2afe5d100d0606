"""Passes pixels between workers of one host: one process writes them to memory that the other maps.

The memory is in no folder (memfd_create), so it is gone with the last process that maps it, also after a kill -9. A
helper opens it by the coordinator's process id and file descriptor, which takes the same user and the same process
namespace.
"""

import mmap
import os
import secrets
import weakref
from pathlib import Path

import numpy as np

from worker.dream.types import Image
from worker.sharing.messages import BYTES_PER_PX

Address = tuple[int, int, str]  # process id, file descriptor, token


class TileMemory:
    """Memory for one tile: its window, which the core's gradient replaces."""

    def __init__(self, size_bytes: int) -> None:
        """Raises OSError if there is no more memory."""
        token = secrets.token_hex(8)  # tells it from later memory with the same descriptor
        descriptor = os.memfd_create(_name(token))
        weakref.finalize(self, os.close, descriptor)
        os.posix_fallocate(descriptor, 0, size_bytes)  # a write to a page that can't be had would end the process
        self._mapped = mmap.mmap(descriptor, size_bytes)
        self.size_bytes = size_bytes
        self.address: Address = os.getpid(), descriptor, token

    def pixels(self, height: int, width: int) -> Image:
        """Returns the memory's start as an image, (height, width, 3)."""
        return _pixels(self._mapped, height, width)


def pixels_at(address: Address, height: int, width: int) -> Image:
    """Returns the start of another process's memory as an image, (height, width, 3).

    Raises OSError if it is gone or can't be opened, ValueError if it is smaller.
    """
    process_id, descriptor, token = address
    place = f"/proc/{process_id}/fd/{descriptor}"
    _check(place, token)  # before it is opened, because to open a device or a pipe has effects
    opened = os.open(place, os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    try:
        _check(f"/proc/self/fd/{opened}", token)
        return _pixels(mmap.mmap(opened, height * width * BYTES_PER_PX), height, width)
    finally:
        os.close(opened)  # the map stays


def _check(place: str, token: str) -> None:
    if Path(place).readlink() != Path(f"/memfd:{_name(token)} (deleted)"):
        raise FileNotFoundError(f"The memory at {place} is gone.")


def _name(token: str) -> str:
    return f"dream-tile-{token}"


def _pixels(mapped: mmap.mmap, height: int, width: int) -> Image:
    return np.frombuffer(mapped, "<f4", height * width * 3).reshape(height, width, 3)
