"""Gives a process of the stack a wrong clock or a full disk, as the files in its CHAOS_TROUBLE folder say.

Python imports this module at start, because the storm puts its folder on PYTHONPATH.
"""

import errno
import os
import tempfile
import time
from pathlib import Path

LOOK_EVERY_S = 0.2


class Troubles:
    """Looks into the folder now and then."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._looked_at = float("-inf")
        self._skew_s = 0.0
        self._is_full = False

    @property
    def skew_s(self) -> float:
        self._look()
        return self._skew_s

    @property
    def disk_is_full(self) -> bool:
        self._look()
        return self._is_full

    def _look(self) -> None:
        if time.monotonic() - self._looked_at < LOOK_EVERY_S:
            return
        self._looked_at = time.monotonic()
        self._is_full = (self._folder / "disk_full").exists()
        try:
            self._skew_s = float((self._folder / "clock").read_text() or 0)
        except FileNotFoundError:
            self._skew_s = 0.0


class Spool:
    """Wraps a temporary file on a disk that may be full."""

    def __init__(self, file, troubles: Troubles) -> None:
        self._file, self._troubles = file, troubles

    def __getattr__(self, name: str):
        if name in {"write", "flush", "truncate", "fileno"} and self._troubles.disk_is_full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return getattr(self._file, name)

    def __iter__(self):
        return iter(self._file)

    def __enter__(self) -> "Spool":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


if "CHAOS_TROUBLE" in os.environ:
    troubles = Troubles(Path(os.environ["CHAOS_TROUBLE"]))
    real_time, make_file = time.time, tempfile.TemporaryFile
    time.time = lambda: real_time() + troubles.skew_s
    tempfile.TemporaryFile = lambda *args, **options: Spool(make_file(*args, **options), troubles)
