"""How long tests wait. Limits only end what hangs: they are generous, and longer on a machine that is busy."""

import subprocess
import time
from collections.abc import Callable
from typing import TypeVar

from deploy.local.time_limit import TimeLimit, slowdown

PATIENCE_S = 180.0  # of a quiet machine, where nearly everything takes less than ten

T = TypeVar("T")


def wait_until(condition: Callable[[], T], *, what: str = "it", limit_s: float = PATIENCE_S) -> T:
    """The first true value of the condition. Fails when the limit passes first."""
    limit = TimeLimit(limit_s)
    while not (value := condition()):
        assert not limit.is_over(), f"{what} did not happen"
        time.sleep(0.02)
    return value


def exit_code(process: subprocess.Popen) -> int:
    """The code with which it ends. Fails when it does not."""
    wait_until(lambda: process.poll() is not None, what="the end of the process")
    return process.returncode


def patience_s(limit_s: float = PATIENCE_S) -> float:
    """For calls that take a time limit of their own: so many seconds, or more on a machine that is busy now."""
    return limit_s * slowdown()
