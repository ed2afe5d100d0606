"""Clocks. Code receives its clock as an argument, so that tests control time."""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Returns Unix time, seconds."""

    def monotonic(self) -> float:
        """Returns seconds since an arbitrary instant; for durations."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
