"""Allocates arrays of the image's size: in memory, or in files once they would exceed their share of memory.

An array in a file is a shared memory map, which is used like any other array. The kernel writes its pages to the disk
when it needs the room, so the disk limits the size of an image. Which arrays are in files does not affect pixels.
"""

import math
import mmap
import os
import shutil
import sys
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from shared.errors import LocalDiskError
from worker.dream.ascent import memory

BAND_PX = 2_000_000  # of the image's pixels, processed before the pages that were touched are released

RELEASE_INTERVAL_S = 0.02

_lock = threading.Lock()
_in_memory_bytes = 0
_freed_bytes: "deque[int]" = deque()  # of arrays that are gone, still in _in_memory_bytes
_maps: "weakref.WeakSet[mmap.mmap]" = weakref.WeakSet()


def empty(shape: tuple[int, ...], dtype: npt.DTypeLike = np.float32) -> npt.NDArray[Any]:
    """Returns an array whose values are undefined; its file, if it has one, is removed with it.

    Raises LocalDiskError (retryable) if the disk of the folder for temporary files (TMPDIR) has no room for it.
    """
    size_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    if not _reserve(size_bytes):
        return np.frombuffer(_mapped_file(size_bytes), dtype).reshape(shape)
    array = np.empty(shape, dtype)
    weakref.finalize(array, _freed_bytes.append, size_bytes)  # takes no lock: it may run while this thread holds one
    return array


def release() -> None:
    """Removes the pages of mapped arrays from this process's memory; their contents stay.

    Call it after each part of an image that was read or written. Other threads may use the arrays meanwhile.
    """
    with _lock:
        maps = list(_maps)
    for mapped in maps:
        mapped.madvise(mmap.MADV_DONTNEED)


@contextmanager
def releasing() -> Iterator[None]:
    """Releases pages again and again, while a library reads or fills a whole array in one call."""
    done = threading.Event()

    def run() -> None:
        while not done.wait(RELEASE_INTERVAL_S):
            release()

    thread = threading.Thread(target=run, name="release", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        release()


def contents(file: BinaryIO) -> mmap.mmap:
    """Returns a file's bytes without reading them; `release` releases them too."""
    return _known(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))


def bands(height: int, width: int) -> Iterator[slice]:
    """Yields the rows of an image from top to bottom, some at a time, and releases what was touched after each."""
    rows = max(1, BAND_PX // width)
    for top in range(0, height, rows):
        yield slice(top, min(top + rows, height))
        release()


def _reserve(size_bytes: int) -> bool:
    """Counts an array in memory. Returns False, without counting it, if there is no room for it."""
    global _in_memory_bytes  # noqa: PLW0603 - memory is the process's
    with _lock:
        while _freed_bytes:
            _in_memory_bytes -= _freed_bytes.pop()
        if _in_memory_bytes + size_bytes > memory.bytes_for_arrays():
            return False
        _in_memory_bytes += size_bytes
        return True


def _mapped_file(size_bytes: int) -> mmap.mmap:
    with tempfile.TemporaryFile(prefix="dream-") as file:  # the map keeps it open
        try:
            _allocate(file.fileno(), size_bytes)
        except OSError as exc:
            free_bytes = shutil.disk_usage(tempfile.gettempdir()).free
            raise LocalDiskError(
                f"The image is larger than this worker's memory, and {tempfile.gettempdir()} has no room for it: "
                f"{size_bytes:,} bytes are needed, {free_bytes:,} are free ({exc.strerror}). Set TMPDIR to a larger "
                "disk, or DREAM_MEMORY to more memory."
            ) from exc
        return _known(mmap.mmap(file.fileno(), size_bytes))


def _known(mapped: mmap.mmap) -> mmap.mmap:
    with _lock:
        _maps.add(mapped)
    return mapped


def _allocate(descriptor: int, size_bytes: int) -> None:
    """Reserves the file's blocks, because a full disk would end the process at the first write to a page."""
    if sys.platform == "linux":
        os.posix_fallocate(descriptor, 0, size_bytes)
    else:
        os.ftruncate(descriptor, size_bytes)
