"""The weather: a real stack with short leases, jobs that keep coming in, and seeded faults in all of its parts."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from deploy.local.time_limit import TimeLimit, slowdown
from shared.celery_app import QUEUE, CeleryNotifier
from shared.errors import DreamError
from shared.s3 import object_keys
from tests.chaos.stage import LEASE_S, Stage
from tests.waiting import exit_code

DRAIN_S = 15.0  # of a quiet machine, like all limits here
STUCK_S = 180.0  # to load TensorFlow, twice


class Storm(Stage):
    """One stack in bad weather. Start and strike from the main thread: the parts' lives are tied to it."""

    def rage(self, jobs: int, seconds: float) -> None:
        """Jobs come in all the time; a fault strikes as soon as the last one is half digested."""
        began = time.monotonic()
        kinds = self._kinds()
        deck: list[str] = []
        self.crowd.begin(jobs, seconds * 0.8)
        self.observer.begin()
        while time.monotonic() - began < seconds or len(self.faults) < len(kinds):
            if not deck:  # every kind once before any comes again
                deck = self.random.sample(sorted(kinds), len(kinds))
            kind = deck.pop()
            with suppress(DreamError, psutil.NoSuchProcess):
                kinds[kind]()
                self.faults[kind] += 1
            self._live_on(self.random.uniform(1.0, 4.0))
        self.crowd.stop()
        kills = self.faults["kill -9 worker child"] + self.faults["kill -9 worker parent"]
        if 2 * self.inside < kills:
            self.broken.append(f"only {self.inside} of {kills} kills hit a running dream: this storm proves little")

    def calm(self) -> None:
        """The sky clears: everything that was stopped runs again, and the jobs get all the time that they use."""
        for until, process in self._frozen:
            self._thaw(until, process)
        self._frozen.clear()
        for name in list(self._away):
            self._away[name] = 0
        left, limit = self._left(), TimeLimit(STUCK_S)
        while left != 0:
            self._live_on(0.5)
            now = self._left()
            if now is not None and now != left:
                left, limit = now, TimeLimit(STUCK_S)
            if limit.is_over():
                self.broken.append(f"{left} jobs wait, and none has ended in {STUCK_S:.0f} s of calm")
                break
        time.sleep(2 * LEASE_S)  # what a frozen worker still wants to say
        self.observer.end()

    def _left(self) -> int | None:
        """How many jobs have not ended; None while S3 is not back yet."""
        with suppress(DreamError):
            return len(list(self.storage.keys(object_keys.PENDING)))
        return None

    def _kinds(self) -> dict[str, Callable[[], None]]:
        return {
            "kill -9 worker child": self._kill_child,
            "kill -9 worker parent": self._kill_parent,
            "SIGSTOP worker child": self._freeze_child,
            "SIGTERM worker": lambda: self._drain(group=False),
            "SIGTERM process group": lambda: self._drain(group=True),
            "redis killed and back": lambda: self._away_for("redis", self.random.uniform(0.2, 3)),
            "FLUSHALL": self._flush,
            "s3 stopped and back": lambda: self._away_for("s3", self.random.uniform(0.2, 4)),
            "doorbells lost": lambda: self.store.redis.delete(QUEUE),
            "wake-ups multiplied": lambda: CeleryNotifier.connect(self.stack.settings).notify_workers(50),
            "api killed in an upload": self._kill_api,
            "caretaker killed or frozen": self._hit_caretaker,
        }

    # --- the faults ---

    def _kill_child(self) -> None:
        name, child = self._dreaming()
        self.inside += self._is_dreaming(name)
        child.kill()

    def _kill_parent(self) -> None:
        name, child = self._dreaming()
        self.inside += self._is_dreaming(name)
        os.kill(self.stack.children[name].pid, signal.SIGKILL)
        _, alive = psutil.wait_procs([child], timeout=DRAIN_S * slowdown())
        if alive:
            self.broken.append(f"the child of a killed {name} lives on")
        self._relaunch(name)

    def _freeze_child(self) -> None:
        _, child = self._dreaming()
        child.suspend()
        self._frozen.append((time.monotonic() + self.random.uniform(0.5, 2.5) * LEASE_S, child))

    def _drain(self, *, group: bool) -> None:
        name, _ = self._dreaming()
        part = self.stack.children[name]
        began, limit = time.monotonic(), TimeLimit(DRAIN_S)
        (os.killpg if group else os.kill)(part.pid, signal.SIGTERM)
        if self.random.random() < 0.5:
            time.sleep(0.2)
            with suppress(ProcessLookupError):
                os.kill(part.pid, signal.SIGTERM)
        code = exit_code(part._process)
        if limit.is_over() or code != 0:
            self.broken.append(f"{name} took {time.monotonic() - began:.1f} s to drain and ended with {code}")
        self._relaunch(name)

    def _away_for(self, name: str, seconds: float) -> None:
        if name in self._away:
            return
        if name == "redis":
            self.stack.kill_component(name)  # so that it loses what it has not written yet
            self.observer.forgive()
        else:
            self.stack.stop_component(name)
        self._away[name] = time.monotonic() + seconds

    def _flush(self) -> None:
        self.store.redis.flushall()
        self.observer.forgive()

    def _kill_api(self) -> None:
        with self.crowd.slow_upload():
            self.stack.kill_component("api")
        self._relaunch("api")

    def _hit_caretaker(self) -> None:
        name = self.random.choice(["caretaker", "caretaker-2"])
        if self.random.random() < 0.5:
            self.stack.kill_component(name)
            self._relaunch(name)
        else:
            process = psutil.Process(self.stack.children[name].pid)
            process.suspend()
            self._frozen.append((time.monotonic() + self.random.uniform(0.5, 2.5) * LEASE_S, process))


@contextmanager
def a_storm(home: Path, *, seed: int):
    shutil.rmtree(home, ignore_errors=True)
    storm = Storm(home, seed=seed)
    try:
        storm.start()
        yield storm
    finally:
        storm.stop()
