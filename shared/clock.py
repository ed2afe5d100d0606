"""Time, passed in so that tests can own it."""

import time
from typing import Protocol


class Clock(Protocol):
    def now(self) -> float:
        """Unix time, seconds."""

    def monotonic(self) -> float:
        """Seconds since some instant; for durations."""

    def sleep(self, seconds: float) -> None: ...


class SystemClock:
    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)
