"""What the dream runs on: cores or a GPU, and how much memory it may take."""

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import cv2
import numpy as np
import tensorflow as tf

from shared.version import VERSION

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # <malloc.h>
_KEPT_BYTES = 128 * 2**20  # freed memory that stays until `release_freed_memory`: the blur's strips, and then some
_LARGE_BYTES = 32 * 2**20  # what is larger goes back as soon as it is freed; glibc allows no more


def cores() -> int:
    """The cores that this process may use, which in a container are fewer than the machine's."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare() -> None:
    """Sets TensorFlow's threads; to be called before its first operation, and without effect after it.

    As many operators as cores run at once, one or more per tile, so that tiles run side by side. A single tile still
    gets all cores, through its operators' own threads. OpenCV's threads would only get in the way of ours.
    """
    cv2.setNumThreads(1)
    _set_up_heap()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(cores())
        tf.config.threading.set_intra_op_parallelism_threads(cores())
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, enable=True)
            tf.config.experimental.enable_op_determinism()  # cuDNN is not, by itself
    except RuntimeError:  # TensorFlow has started: a test or a notebook was first, and its threads will do
        return


def release_freed_memory() -> None:
    """Gives back what the C library keeps of freed memory: tracing a network leaves 40 MB of it behind."""
    if trim := _glibc("malloc_trim"):
        trim(0)


def _set_up_heap() -> None:
    """Keeps glibc from giving every thread a heap, whose freed memory only that thread could use: 30 MB in two threads.

    The dream's threads allocate a few large arrays for each tile, and don't get into one another's way. And it keeps
    freed memory at hand: to get it from the kernel anew, page by page, was a third of the blur's time.
    """
    if mallopt := _glibc("mallopt"):
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _LARGE_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _KEPT_BYTES)


def _glibc(name: str) -> Callable[..., int] | None:
    """A function of the C library, where that is glibc: others have neither these functions nor the need."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


@lru_cache(maxsize=1)
def gpu() -> str | None:
    """The GPU's device name, or None."""
    found = tf.config.list_logical_devices("GPU")
    return found[0].name if found else None


def free_gpu_bytes() -> int:
    """Memory of the GPU that TensorFlow has not taken yet, as far as it can tell."""
    name = gpu()
    if name is None:
        return 0
    total = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0]).get("memory_bytes")
    return int(total or 8 * 2**30) - int(tf.config.experimental.get_memory_info(name)["current"])


def taken_bytes() -> int:
    """Memory of the GPU that TensorFlow holds; 0 without one."""
    name = gpu()
    return 0 if name is None else int(tf.config.experimental.get_memory_info(name)["current"])


def describe() -> str:
    """The device in words, for the report."""
    if gpu() is None:
        return f"CPU, {cores()} cores"
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return str(details.get("device_name", "GPU"))


@lru_cache(maxsize=4)
def pool(threads: int) -> ThreadPoolExecutor:
    """Threads that outlive the job: oneDNN keeps its primitives per thread."""
    return ThreadPoolExecutor(threads, thread_name_prefix="tile")


def versions() -> dict[str, str]:
    """Returns the versions of everything that decides the pixels."""
    return {"dreamqueue": VERSION, "tensorflow": tf.__version__, "numpy": np.__version__, "opencv": cv2.__version__}
