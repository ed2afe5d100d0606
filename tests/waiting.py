"""Time limits of tests. They only end what hangs: generous, and longer on a busy machine."""

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

from deploy.local.time_limit import TimeLimit, slowdown

PATIENCE_S = 180.0  # of a quiet machine, where nearly everything takes less than ten

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, what: str = "it", limit_s: float = PATIENCE_S) -> T:
    """Returns the first true value of the condition. Fails when the limit passes first."""
    limit = TimeLimit(limit_s)
    while not (value := condition()):
        assert not limit.is_over(), f"{what} did not happen"
        time.sleep(0.02)
    return value


def exit_code(process: subprocess.Popen) -> int:
    """Waits for the process to end and returns its exit code. Fails if it does not end."""
    wait_until(lambda: process.poll() is not None, what="the end of the process")
    return process.returncode


def patience_s(limit_s: float = PATIENCE_S) -> float:
    """Returns a time limit in seconds, longer while the machine is busy."""
    return limit_s * slowdown()
