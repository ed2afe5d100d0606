"""Decides from the seed which faults a run has, how often and when.

Each run enables a random subset of the kinds (swarm testing): with all of them enabled, some combinations are too rare.
"""

import math
import random
import zlib
from collections import Counter
from collections.abc import Callable

from tests.simulation.scheduler import Process

CALL_FAULTS = ("before", "after", "hang before", "hang after", "late", "twice", "twice, once late", "slow")
WORLD_FAULTS = (
    *("kill", "kill in a call", "freeze", "long freeze", "drain"),
    *("kill at a decision", "freeze at a decision"),
    *("redis wiped", "redis rolled back", "redis restarted", "redis unavailable", "s3 unavailable"),
    *("cut off from redis", "cut off from s3", "redis answers lost", "disk full", "checkpoint damaged"),
    *("clock jumps", "redis clock jumps", "wake-ups lost", "wake-ups multiplied"),
)
LONGEST_FREEZE_S = 1500.0
DECISION_FACTOR = 10  # conditional writes are few, and most guarantees rest on them


class Faults:
    """Decides which fault each call has, and draws the random numbers of the other faults."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.on = True
        self.counts: Counter[str] = Counter()
        self.digest = 0
        self.listener: Callable[[str], None] | None = None
        some = rng.random()
        self.call_kinds = [kind for kind in CALL_FAULTS if rng.random() < some]
        self.world_kinds = [kind for kind in WORLD_FAULTS if rng.random() < some]
        self.call_rate = rng.choice((0.0, 0.003, 0.01, 0.03)) if self.call_kinds else 0.0
        self.world_gap_s = rng.choice((40.0, 100.0, 300.0)) if self.world_kinds else math.inf
        self.mean_latency_s = rng.choice((0.002, 0.05, 0.5))
        self._until: dict[tuple[str, str, str], float] = {}  # (service, process or "", how) -> virtual time

    def of_call(self, service: str, process: Process, *, decides: bool = False) -> str | None:
        """Draws the fault of one call, if any. decides: the call is a conditional write, which fails more often."""
        for name in ("", process.name):
            for how in ("cut off", "answers lost"):
                until = self._until.get((service, name, how))
                if until is not None and self.now() < until:
                    return how
        rate = self.call_rate * (DECISION_FACTOR if decides else 1)
        if not self.on or self.rng.random() >= rate:
            return None
        kind = self.rng.choice(self.call_kinds)
        self.counts[f"{service} call: {kind}"] += 1
        return kind

    now: Callable[[], float]  # set by the world

    def disturb(self, service: str, process: str, how: str, seconds: float) -> None:
        """Makes a service unreachable, or loses its responses, for that many seconds. process: "" for all."""
        self._until[service, process, how] = self.now() + seconds

    def calm(self) -> None:
        self.on = False
        self._until.clear()

    def latency_s(self, *, slow: bool) -> float:
        return self.rng.uniform(1, 20) if slow else self.rng.expovariate(1 / self.mean_latency_s)

    def late_s(self) -> float:
        return self.spread(0.1, 300.0)

    def spread(self, low: float, high: float) -> float:
        """Draws a number between `low` and `high`, uniform in its logarithm."""
        return math.exp(self.rng.uniform(math.log(low), math.log(high)))

    def trace(self, event: str) -> None:
        self.digest = zlib.crc32(event.encode(), self.digest)
        if self.listener:
            self.listener(event)
