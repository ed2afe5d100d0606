"""Causes seeded faults in all components of a real stack with short leases, while clients submit jobs."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import redis

from deploy.local.time_limit import TimeLimit, slowdown
from shared.celery_app import QUEUE, CeleryNotifier
from shared.errors import DreamError
from shared.interfaces import ObjectStorage
from shared.s3 import object_keys
from shared.s3.job_records import JobRecords
from tests.chaos.sharing import Sharing
from tests.chaos.stage import LEASE_S
from tests.waiting import exit_code

DRAIN_S = 15.0  # on an idle machine, like all limits here
STUCK_S = 180.0  # enough to load TensorFlow twice


class Storm(Sharing):
    """Causes faults in one stack. Use it from the main thread: its processes end with the thread that starts them."""

    def cause_faults(self, jobs: int, seconds: float) -> None:
        """Causes faults for that many seconds while clients submit jobs.

        Each fault occurs before the stack has fully recovered from the previous one.
        """
        began = time.monotonic()
        kinds = {**self._kinds(), **self._sharing_kinds(), **self._lasting_kinds()}
        self._copy_redis()
        deck: list[str] = []
        self.crowd.begin(jobs, seconds * 0.8)
        self.observer.begin()
        while time.monotonic() - began < seconds or len(self.faults) < len(kinds):
            if not deck:  # every kind once before any is repeated
                deck = self.random.sample(sorted(kinds), len(kinds))
            kind = deck.pop()
            with suppress(DreamError, redis.RedisError, psutil.NoSuchProcess):  # stopped by an earlier fault
                kinds[kind]()
                self.faults[kind] += 1
            self._supervise(self.random.uniform(1.0, 4.0))
        self.crowd.stop()
        kills = self.faults["kill -9 worker child"] + self.faults["kill -9 worker parent"]
        if 2 * self.inside < kills:
            self.broken.append(f"only {self.inside} of {kills} kills hit a running job: this run tests too little")

    def calm(self) -> None:
        """Resumes and restarts everything, and waits until all jobs have ended or none makes progress."""
        self._end_troubles()
        for until, process in self._frozen:
            self._thaw(until, process)
        self._frozen.clear()
        for name in list(self._stopped):
            self._stopped[name] = 0
        left, limit = self._left(), TimeLimit(STUCK_S)
        while left != 0:
            self._supervise(0.5)
            now = self._left()
            if now is not None and now != left:
                left, limit = now, TimeLimit(STUCK_S)
            if limit.is_over():
                self.broken.append(f"{left} jobs wait, and none has ended in {STUCK_S:.0f} s of calm")
                break
        time.sleep(2 * LEASE_S)  # a worker that was frozen may still send requests
        self.observer.end()

    def _left(self) -> int | None:
        """Counts the jobs that have not ended; None while S3 is unavailable.

        A submission whose API was killed before it was accepted is pending too, for an hour, and never ends.
        """
        with suppress(DreamError):
            return left(self.storage)
        return None

    def _kinds(self) -> dict[str, Callable[[], None]]:
        return {
            "kill -9 worker child": self._kill_child,
            "kill -9 worker parent": self._kill_parent,
            "SIGSTOP worker child": self._freeze_child,
            "SIGTERM worker": lambda: self._drain(group=False),
            "SIGTERM process group": lambda: self._drain(group=True),
            "redis killed and restarted": lambda: self._stop_for("redis", self.random.uniform(0.2, 3)),
            "FLUSHALL": self._flush,
            "s3 stopped and restarted": lambda: self._stop_for("s3", self.random.uniform(0.2, 4)),
            "wake-ups lost": lambda: self.store.redis.delete(QUEUE),
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
            self.broken.append(f"the child of a killed {name} is still running")
        self._relaunch(name)

    def _freeze_child(self) -> None:
        _, child = self._dreaming()
        self._freeze(child)

    def _drain(self, *, group: bool) -> None:
        name, _ = self._dreaming()
        part, disturbed = self.stack.children[name], self._is_disturbed(name)
        began, limit = time.monotonic(), TimeLimit(DRAIN_S)
        (os.killpg if group else os.kill)(part.pid, signal.SIGTERM)
        if self.random.random() < 0.5:
            time.sleep(0.2)
            with suppress(ProcessLookupError):
                os.kill(part.pid, signal.SIGTERM)
        code = exit_code(part._process)
        if (limit.is_over() and not disturbed) or code != 0:
            self.broken.append(f"{name} took {time.monotonic() - began:.1f} s to drain and ended with {code}")
        self._relaunch(name)

    def _stop_for(self, name: str, seconds: float) -> None:
        if name in self._stopped:
            return
        if name == "redis":
            self.stack.kill_component(name)  # a kill, so that it loses data not yet written to disk
            self.observer.forgive()
        else:
            self.stack.stop_component(name)
        self._stopped[name] = time.monotonic() + seconds

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
            self._freeze(psutil.Process(self.stack.children[name].pid))


def left(storage: ObjectStorage) -> int:
    """Counts the accepted jobs in `pending/`."""
    records = JobRecords(storage)
    pending = {object_keys.parse_pending(key)[0] for key in storage.keys(object_keys.PENDING)}
    return sum(records.manifest(job_id) is not None for job_id in pending)


@contextmanager
def a_storm(home: Path, *, seed: int):
    shutil.rmtree(home, ignore_errors=True)
    storm = Storm(home, seed=seed)
    try:
        storm.start()
        yield storm
    finally:
        storm.stop()
