"""Causes faults other than failing calls: processes die and freeze, stores lose data, clocks jump."""

from collections.abc import Callable

from shared.s3 import object_keys
from tests.simulation.faults import LONGEST_FREEZE_S
from tests.simulation.scheduler import Process
from tests.simulation.world import NAMES, World
from worker.attempts.checkpoints import DIGEST_BYTES


class Weather:
    """Causes faults in a separate task, until `calm`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.rng = world.faults.rng
        self.process = Process("weather")
        self._kinds: dict[str, Callable[[], None]] = {
            "kill": lambda: world.kill(self._any()),
            "kill in a call": lambda: setattr(self._process(), "calls_left", self.rng.randint(1, 40)),
            "kill at a decision": lambda: self._at_decision(lambda process: setattr(process, "dead", True)),
            "freeze": lambda: self._freeze(self._process(), 1.0, 60.0),
            "long freeze": lambda: self._freeze(self._process(), 60.0, LONGEST_FREEZE_S),
            "freeze at a decision": lambda: self._at_decision(
                lambda process: self._freeze(process, 10.0, LONGEST_FREEZE_S)
            ),
            "drain": self._drain,
            "redis wiped": self._wipe,
            "redis rolled back": self._roll_back,
            "redis restarted": self._restart,
            "redis unavailable": lambda: self._disturb("redis", "", "cut off", 1.0, 60.0),
            "s3 unavailable": lambda: self._disturb("s3", "", "cut off", 1.0, 60.0),
            "cut off from redis": lambda: self._disturb("redis", self._any(), "cut off", 1.0, 200.0),
            "cut off from s3": lambda: self._disturb("s3", self._any(), "cut off", 1.0, 200.0),
            "redis answers lost": lambda: self._disturb("redis", self._any(), "answers lost", 20.0, 400.0),
            "disk full": lambda: setattr(self._process(), "disk_is_full", True),
            "checkpoint damaged": self._damage,
            "clock jumps": lambda: self._jump(self._process()),
            "redis clock jumps": lambda: self._jump(world.redis_host),
            "wake-ups lost": lambda: setattr(world.redis, "wake_ups", 0),
            "wake-ups multiplied": self._multiply,
        }

    def run(self) -> None:
        """Runs the task: causes faults at random times."""
        world = self.world
        while True:
            world.scheduler.sleep(self.rng.expovariate(1 / 20.0))
            if not world.faults.on:
                return
            world.redis.remember()
            if world.faults.world_kinds and self.rng.random() < 20.0 / world.faults.world_gap_s:
                kind = self.rng.choice(world.faults.world_kinds)
                world.faults.counts[kind] += 1
                world.faults.trace(f"--- {kind}")
                self._kinds[kind]()

    def calm(self) -> None:
        """Ends all faults and restarts every process."""
        world = self.world
        world.faults.calm()
        for process in world.processes.values():
            process.calls_left, process.at_decision, process.disk_is_full = None, None, False
        world.scheduler.thaw()
        world.revive()

    def _drain(self) -> None:
        self.world.drains[self.rng.choice(("worker-1", "worker-2"))].set()

    def _any(self) -> str:
        return self.rng.choice(NAMES)

    def _process(self) -> Process:
        return self.world.processes[self._any()]

    def _at_decision(self, fault: Callable[[Process], None]) -> None:
        self._process().at_decision = fault

    def _freeze(self, process: Process, low: float, high: float) -> None:
        process.frozen_until = self.world.scheduler.now + self.world.faults.spread(low, high)

    def _disturb(self, service: str, process: str, how: str, low: float, high: float) -> None:
        self.world.faults.disturb(service, process, how, self.world.faults.spread(low, high))

    def _wipe(self) -> None:
        self.world.redis.wipe()
        self.world.redis.lost_at = self.world.scheduler.now

    def _roll_back(self) -> None:
        self.world.redis.roll_back(self.rng.randrange(len(self.world.redis.copies)))
        self.world.redis.lost_at = self.world.scheduler.now

    def _restart(self) -> None:
        self.world.redis.restarts += 1

    def _damage(self) -> None:
        """Changes a pixel of a job's newest checkpoint, once for each job: the one before it serves."""
        world = self.world
        damaged = world.witness.damaged
        keys = [key for key in sorted(world.s3.objects) if "/checkpoints/" in key and key.split("/")[1] not in damaged]
        if keys:
            job = object_keys.checkpoints(self.rng.choice(keys).split("/")[1])
            key = max(key for key in keys if key.startswith(job))
            content = bytearray(world.s3.objects[key])
            content[-DIGEST_BYTES - 1] ^= 1
            world.s3.objects[key] = bytes(content)
            damaged[key.split("/")[1]] = key

    def _jump(self, process: Process) -> None:
        process.skew_s = self.rng.choice((-1, 1)) * self.world.faults.spread(0.1, 600.0)

    def _multiply(self) -> None:
        self.world.redis.wake_ups += 20
        self.world.redis.notified()
