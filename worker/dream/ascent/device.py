"""Detects and configures the device that the engine runs on, CPU cores or a GPU, and its memory."""

import ctypes
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import tensorflow as tf
from threadpoolctl import threadpool_limits

from shared.version import VERSION

CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_memory_budget: int | None = None
_mixed_precision = False
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8  # <malloc.h>
_TRIM_THRESHOLD_BYTES = 128 * 2**20  # freed memory kept until `release_freed_memory`: more than the blur's strips
_MMAP_THRESHOLD_BYTES = 32 * 2**20  # larger blocks are returned as soon as they are freed; the most glibc allows


def cores() -> int:
    """Returns the number of cores that this process may use; in a container that can be fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def prepare(*, mixed_precision: bool = False) -> None:
    """Sets TensorFlow's threads and precision. Call it before TensorFlow's first operation; later it has no effect.

    As many operators as cores run at once, one or more per tile, so that tiles run in parallel. A single tile still
    uses all cores, through its operators' own threads. OpenCV's threads are disabled: they would compete with ours.
    So are those of NumPy's matrix products, whose last bits would depend on their number.

    mixed_precision: whether GPUs multiply in TensorFloat-32, with 10 instead of 23 bits after the point, and add in
    float32. TensorFlow's default is to do so; it changes pixels, so ours is not to.
    """
    global _mixed_precision  # noqa: PLW0603 - precision is the process's
    _mixed_precision = mixed_precision
    tf.config.experimental.enable_tensor_float_32_execution(mixed_precision)
    cv2.setNumThreads(1)
    threadpool_limits(1, user_api="blas")
    _set_up_heap()
    try:
        tf.config.threading.set_inter_op_parallelism_threads(cores())
        tf.config.threading.set_intra_op_parallelism_threads(cores())
        for gpu in tf.config.list_physical_devices("GPU"):
            tf.config.experimental.set_memory_growth(gpu, enable=True)
            tf.config.experimental.enable_op_determinism()  # cuDNN is not deterministic by default
    except RuntimeError:  # a test or a notebook has already started TensorFlow, and its threads suffice
        return


def release_freed_memory() -> None:
    """Returns the freed memory that the C library keeps to the system: tracing a network leaves 40 MB of it."""
    if trim := _glibc("malloc_trim"):
        trim(0)


def _set_up_heap() -> None:
    """Configures glibc's heap: one arena for all threads, and freed memory is kept for reuse.

    With one arena per thread, only that thread could reuse its freed memory, which costs 30 MB with two threads. The
    engine's threads allocate a few large arrays per tile, so they do not block each other on a shared arena. Freed
    memory is kept because getting it from the kernel again, page by page, took a third of the blur's time.
    """
    if mallopt := _glibc("mallopt"):
        mallopt(_M_ARENA_MAX, 1)
        mallopt(_M_MMAP_THRESHOLD, _MMAP_THRESHOLD_BYTES)
        mallopt(_M_TRIM_THRESHOLD, _TRIM_THRESHOLD_BYTES)


def _glibc(name: str) -> Callable[..., int] | None:
    """Returns a function of glibc, or None: other C libraries have neither these functions nor a need for them."""
    return getattr(ctypes.CDLL(None), name, None) if sys.platform == "linux" else None


@lru_cache(maxsize=1)
def gpu() -> str | None:
    """Returns the GPU's device name, or None."""
    found = tf.config.list_logical_devices("GPU")
    return found[0].name if found else None


def free_gpu_bytes() -> int:
    """Returns the GPU memory that TensorFlow has not taken yet, as far as it reports; 0 without a GPU."""
    name = gpu()
    if name is None:
        return 0
    return _gpu_memory_limit() - int(tf.config.experimental.get_memory_info(name)["current"])


@lru_cache(maxsize=1)
def _gpu_memory_limit() -> int:
    """Returns how much of the GPU's memory TensorFlow may take, bytes; its public functions do not tell."""
    from tensorflow.python.client import device_lib  # noqa: PLC0415 - private, and needed on a GPU alone

    return next(int(one.memory_limit) for one in device_lib.list_local_devices() if one.device_type == "GPU")


def memory_budget() -> int:
    """Returns how much memory this process may take, bytes.

    As set, else the container's limit less a tenth for the kernel's buffers, else half of the machine's memory.
    """
    if _memory_budget is not None:
        return _memory_budget
    limit = container_limit()
    return limit * 9 // 10 if limit else os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def set_memory_budget(budget_bytes: int | None) -> None:
    """Sets how much memory this process may take; None leaves it to the container and the machine."""
    global _memory_budget  # noqa: PLW0603 - memory is the process's
    _memory_budget = budget_bytes


@lru_cache(maxsize=1)
def container_limit() -> int | None:
    """Returns the memory limit of the control group, bytes; None without one."""
    for path in CGROUP_LIMITS:
        try:
            limit = int(Path(path).read_text())
        except (OSError, ValueError):  # another version of control groups, or "max"
            continue
        if limit < os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"):
            return limit
    return None


def taken_bytes() -> int:
    """Returns the GPU memory that TensorFlow holds; 0 without a GPU."""
    name = gpu()
    return 0 if name is None else int(tf.config.experimental.get_memory_info(name)["current"])


def describe() -> str:
    """Returns the device's name for the report."""
    if gpu() is None:
        return f"CPU, {cores()} cores"
    details = tf.config.experimental.get_device_details(tf.config.list_physical_devices("GPU")[0])
    return str(details.get("device_name", "GPU")) + (", TensorFloat-32" if _mixed_precision else "")


@lru_cache(maxsize=4)
def pool(threads: int) -> ThreadPoolExecutor:
    """Returns a thread pool that is kept from job to job, because oneDNN caches its primitives per thread."""
    return ThreadPoolExecutor(threads, thread_name_prefix="tile")


def versions() -> dict[str, str]:
    """Returns the versions of all software that affects the pixels, and the precision where it is reduced."""
    software = {"dreamqueue": VERSION, "tensorflow": tf.__version__, "numpy": np.__version__, "opencv": cv2.__version__}
    return software | ({"precision": "TensorFloat-32"} if _mixed_precision and gpu() is not None else {})
