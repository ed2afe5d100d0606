"""Time limits that scale with the machine's load: a busy machine is slow, not broken."""

import os
import time
from collections.abc import Callable


def slowdown() -> float:
    """Returns how much longer a process takes than on a quiet machine: the load average per core, and at least 1.

    The load average counts processes that wait for the disk as well. It lags by a minute, so limits are generous.
    """
    try:
        load = os.getloadavg()[0]
    except (AttributeError, OSError):  # not on this system
        return 1.0
    return max(1.0, load / (os.cpu_count() or 1))


class TimeLimit:
    """A limit in seconds on a quiet machine: while the load is twice the number of cores, a second counts half."""

    def __init__(
        self,
        limit_s: float,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        slowdown: Callable[[], float] = slowdown,
    ) -> None:
        self.limit_s = limit_s
        self._monotonic, self._slowdown = monotonic, slowdown
        self._spent_s, self._asked_at = 0.0, monotonic()

    def __str__(self) -> str:
        return f"{self.limit_s:g} s of a quiet machine"

    def is_over(self) -> bool:
        """Returns whether the limit has passed.

        Ask again and again, since the machine may be busy now and quiet later.
        """
        now = self._monotonic()
        self._spent_s += (now - self._asked_at) / self._slowdown()
        self._asked_at = now
        return self._spent_s > self.limit_s
