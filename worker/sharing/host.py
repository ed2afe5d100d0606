"""Identifies workers that can map each other's memory."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path

from shared.settings import Settings


def host_of(settings: Settings) -> str:
    """Returns what identifies the workers with which this one shares memory; "" if there are none."""
    return identifier() if settings.share_dreams and settings.share_memory else ""


@lru_cache(maxsize=1)
def identifier() -> str:
    """Returns 12 hexadecimal digits that are equal for the processes of one user and group in one process namespace.

    Returns "" on systems where a process can't map another's memory.
    """
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text()
        namespaces = [str(Path(f"/proc/self/ns/{kind}").readlink()) for kind in ("pid", "user")]
        os.close(os.memfd_create("dream-probe"))
    except (OSError, AttributeError):
        return ""
    return hashlib.sha256(repr((boot, namespaces, os.getuid(), os.getgid())).encode()).hexdigest()[:12]


def queue_of(numerics: str, host: str) -> str:
    """Returns the name of the queue of tiles for the helpers of one host."""
    return f"{numerics}.{host}"
