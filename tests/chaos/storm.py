"""The weather: a real stack with short leases, jobs that keep coming in, and seeded faults in all of its parts."""

import os
import random
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import psutil
import skimage.data
from PIL import Image

from deploy import parts
from deploy.process import Child
from deploy.stack import Stack
from shared.blobs import S3Blobs
from shared.errors import DreamError
from shared.jobs import Job, JobState
from shared.queue import QUEUE, CeleryDoorbell
from shared.store import RedisStore
from tests.chaos.crowd import Crowd
from tests.chaos.observer import Observer

LEASE_S = 2.0
ENV = {
    "DREAM_LEASE_S": str(LEASE_S),
    "DREAM_CHECKPOINT_INTERVAL_S": "0.4",
    "DREAM_RECONCILE_INTERVAL_S": "5",
    "DREAM_PROGRESS_INTERVAL_S": "0.1",
    "DREAM_CARETAKER_INTERVAL_S": "0.3",
    "DREAM_TILE_THREADS": "1",
}
WORKERS = ("worker-1", "worker-2")
DRAIN_S = 15.0
WAIT_FOR_A_DREAM_S = 8.0


class Storm:
    """One stack in bad weather. Start and strike from the main thread: the parts' lives are tied to it."""

    def __init__(self, home: Path, *, seed: int) -> None:
        self.home = home
        self.random = random.Random(seed)
        self.stack = Stack(home, workers=len(WORKERS), env=ENV)
        self.faults: Counter[str] = Counter()
        self.inside = 0  # kills that hit a running dream
        self.broken: list[str] = []  # promises that were seen broken
        self.undisturbed_s = 0.0  # how long one dream takes
        self._starts = 0
        self._frozen: list[tuple[float, psutil.Process]] = []
        self._away: dict[str, float] = {}  # parts that are down, and until when

    def start(self) -> None:
        self.photograph = self.home / "photograph.png"
        self.home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(skimage.data.chelsea()).crop((100, 50, 260, 170)).save(self.photograph)
        self.stack.start()
        settings = self.stack.settings
        self.store, self.blobs = RedisStore.connect(settings), S3Blobs.connect(settings)
        second = replace(parts.caretaker({**parts.environment(settings), **ENV}), name="caretaker-2")
        self._launch("caretaker-2", second)
        self.crowd = Crowd(self.stack.api_url, self.photograph, random.Random(self.random.random()))
        self.observer = Observer(self.store)

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

    def calm(self, limit_s: float) -> None:
        """The sky clears: everything that was stopped runs again, and every job gets its time to end."""
        for until, process in self._frozen:
            self._thaw(until, process)
        self._frozen.clear()
        for name in list(self._away):
            self._away[name] = 0
        deadline = time.monotonic() + limit_s
        while time.monotonic() < deadline:
            self._live_on(0.5)
            with suppress(DreamError):
                if not list(self.blobs.keys("pending/")):
                    break
        else:
            self.broken.append(
                f"{len(list(self.blobs.keys('pending/')))} jobs have not ended in {limit_s:.0f} s of calm"
            )
        time.sleep(2 * LEASE_S)  # what a frozen worker still wants to say
        self.observer.end()

    def calm_wait(self, job_ids: list[str], limit_s: float = 120.0) -> None:
        """Until these have ended, in good weather."""
        deadline = time.monotonic() + limit_s
        while not all((job := self.store.get(job_id)) and job.state.is_terminal for job_id in job_ids):
            if time.monotonic() > deadline:
                raise TimeoutError("they did not end even in good weather")
            time.sleep(0.1)

    def stop(self) -> None:
        family = [p for child in self.stack.children.values() for p in child.footprint.group()]
        self.stack.stop()
        _, alive = psutil.wait_procs(family, timeout=10)
        leaked = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        self.broken += [f"leaked process {p.pid} {p.cmdline()[-2:]}" for p in leaked]

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
            "doorbells multiplied": lambda: CeleryDoorbell.connect(self.stack.settings).ring(50),
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
        _, alive = psutil.wait_procs([child], timeout=DRAIN_S)
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
        began = time.monotonic()
        (os.killpg if group else os.kill)(part.pid, signal.SIGTERM)
        if self.random.random() < 0.5:
            time.sleep(0.2)
            with suppress(ProcessLookupError):
                os.kill(part.pid, signal.SIGTERM)
        code = part._process.wait(60)
        if code != 0 or time.monotonic() - began > DRAIN_S:
            self.broken.append(f"{name} took {time.monotonic() - began:.1f} s to drain and ended with {code}")
        self._relaunch(name)

    def _away_for(self, name: str, seconds: float) -> None:
        if name in self._away:
            return
        if name == "redis":
            self.stack.kill_part(name)  # so that it loses what it has not written yet
            self.observer.forgive()
        else:
            self.stack.stop_part(name)
        self._away[name] = time.monotonic() + seconds

    def _flush(self) -> None:
        self.store.redis.flushall()
        self.observer.forgive()

    def _kill_api(self) -> None:
        with self.crowd.slow_upload():
            self.stack.kill_part("api")
        self._relaunch("api")

    def _hit_caretaker(self) -> None:
        name = self.random.choice(["caretaker", "caretaker-2"])
        if self.random.random() < 0.5:
            self.stack.kill_part(name)
            self._relaunch(name)
        else:
            process = psutil.Process(self.stack.children[name].pid)
            process.suspend()
            self._frozen.append((time.monotonic() + self.random.uniform(0.5, 2.5) * LEASE_S, process))

    # --- between them ---

    def _live_on(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for entry in [entry for entry in self._frozen if entry[0] <= time.monotonic()]:
                self._frozen.remove(entry)
                self._thaw(*entry)
            for name in [name for name, due in self._away.items() if due <= time.monotonic()]:
                del self._away[name]
                self.stack.start_part(name)
            for name in self.stack.dead():
                if name not in self._away:
                    self._relaunch(name)
            time.sleep(0.05)

    def _thaw(self, _: float, process: psutil.Process) -> None:
        with suppress(psutil.NoSuchProcess):
            process.resume()

    def _dreaming(self) -> tuple[str, psutil.Process]:
        """A worker in the middle of a dream, if one gets there soon, and its child."""
        deadline = time.monotonic() + WAIT_FOR_A_DREAM_S
        while True:
            names = [name for name in WORKERS if self._child(name)]
            busy = [name for name in names if self._is_dreaming(name)]
            if busy or (names and time.monotonic() > deadline):
                name = self.random.choice(busy or names)
                if child := self._child(name):
                    return name, child
            self._live_on(0.1)

    def _is_dreaming(self, name: str) -> bool:
        return any(
            (job.worker or "").startswith(f"{name}@") and 0 < job.progress.fraction < 1 for job in self._running()
        )

    def _running(self) -> list[Job]:
        with suppress(DreamError):
            return list(self.store.list_jobs("local", states=frozenset({JobState.RUNNING})))
        return []

    def _child(self, name: str) -> psutil.Process | None:
        frozen = [process for _, process in self._frozen]
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.stack.children[name].pid).children():
                if "--billiard-fork" in process.cmdline() and process not in frozen:
                    return process
        return None

    def _relaunch(self, name: str) -> None:
        self.stack.kill_part(name)
        self._launch(name, self.stack.children[name].part)

    def _launch(self, name: str, part: parts.Part) -> None:
        """Without waiting for it, and with a log of its own for each start."""
        self._starts += 1
        self.stack.children[name] = Child(part, self.home / "logs" / f"{name}-{self._starts:03d}.log")
        self.stack._record()


@contextmanager
def a_storm(home: Path, *, seed: int):
    shutil.rmtree(home, ignore_errors=True)
    storm = Storm(home, seed=seed)
    try:
        storm.start()
        yield storm
    finally:
        storm.stop()
