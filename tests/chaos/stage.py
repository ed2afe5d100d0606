"""Runs a real stack with short leases, and finds, restarts and resumes its processes."""

import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil
import skimage.data
from PIL import Image

from deploy.local import components
from deploy.local.process import Child
from deploy.local.time_limit import TimeLimit, slowdown
from shared.errors import DreamError
from shared.jobs.job import Job, JobState
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from tests.chaos.crowd import Crowd
from tests.chaos.network.proxied_stack import ProxiedStack
from tests.chaos.observer import Observer
from tests.waiting import wait_until

LEASE_S = 2.0
ENV = {
    "DREAM_LEASE_S": str(LEASE_S),
    "DREAM_CHECKPOINT_INTERVAL_S": "0.4",
    "DREAM_RECONCILE_INTERVAL_S": "5",
    "DREAM_PROGRESS_INTERVAL_S": "0.1",
    "DREAM_CARETAKER_INTERVAL_S": "0.3",
    "DREAM_TILE_THREADS": "1",
    # With the default, several faults in a row that hit one job would correctly fail it.
    "DREAM_MAX_DEATHS": "100",
}
WORKERS = ("worker-1", "worker-2")
WAIT_FOR_A_DREAM_S = 20.0  # on an idle machine


class Stage:
    """Controls the stack's processes. Use it from the main thread only: they end with the thread that starts them."""

    def __init__(self, home: Path, *, seed: int) -> None:
        self.home = home
        self.random = random.Random(seed)
        route = {"DREAM_SHARE_MEMORY": str(self.random.random() < 0.5)}  # else tiles go through Redis, as between hosts
        self.stack = ProxiedStack(home, workers=len(WORKERS), env=ENV | route)
        self.faults: Counter[str] = Counter()
        self.inside = 0  # kills that hit a running job
        self.broken: list[str] = []  # violations
        self.undisturbed_s = 0.0  # duration of one job
        self._starts = 0
        self._frozen: list[tuple[float, psutil.Process]] = []
        self._stopped: dict[str, float] = {}  # stopped components -> when to start them
        self._endings: list[tuple[float, Callable[[], None]]] = []  # of lasting troubles, and when they are due

    def start(self) -> None:
        self.photograph, large = self.home / "photograph.png", self.home / "large.jpg"
        self.home.mkdir(parents=True, exist_ok=True)
        Image.fromarray(skimage.data.chelsea()).crop((100, 50, 260, 170)).save(self.photograph)
        Image.fromarray(skimage.data.astronaut()).resize((1600, 1200)).save(large, quality=90)
        self.stack.start()
        settings = self.stack.settings
        self.store, self.storage = RedisJobStore.connect(settings), S3ObjectStorage.connect(settings)
        second = replace(components.caretaker({**components.environment(settings), **ENV}), name="caretaker-2")
        self._launch("caretaker-2", self.stack.through_proxies(second))
        self.crowd = Crowd(self.stack.api_url, self.photograph, large, random.Random(self.random.random()))
        self.observer = Observer(self.store)

    def calm_wait(self, job_ids: list[str]) -> None:
        """Waits until these jobs have ended, without faults."""
        wait_until(
            lambda: all((job := self.store.get(job_id)) and job.state.is_terminal for job_id in job_ids),
            what="the end of jobs without faults",
        )

    def stop(self) -> None:
        family = [p for child in self.stack.children.values() for p in child.record.group()]
        self.stack.stop()
        _, alive = psutil.wait_procs(family, timeout=10 * slowdown())
        leaked = [p for p in alive if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
        self.broken += [f"leaked process {p.pid} {p.cmdline()[-2:]}" for p in leaked]

    def _supervise(self, seconds: float) -> None:
        """Resumes and restarts processes when due, for that many seconds."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for entry in [entry for entry in self._frozen if entry[0] <= time.monotonic()]:
                self._frozen.remove(entry)
                self._thaw(*entry)
            for due in [entry for entry in self._endings if entry[0] <= time.monotonic()]:
                self._endings.remove(due)
                due[1]()
            for name in [name for name, due in self._stopped.items() if due <= time.monotonic()]:
                del self._stopped[name]
                self.stack.start_component(name)
            for name in self.stack.dead():
                if name not in self._stopped:
                    self._relaunch(name)
            time.sleep(0.05)

    def _thaw(self, _: float, process: psutil.Process) -> None:
        with suppress(psutil.NoSuchProcess):
            process.resume()

    def _dreaming(self) -> tuple[str, psutil.Process]:
        """Returns a worker and its child process, if possible one in the middle of a job."""
        limit = TimeLimit(WAIT_FOR_A_DREAM_S)
        while True:
            names = [name for name in WORKERS if self._child(name)]
            busy = [name for name in names if self._is_dreaming(name)]
            if busy or (names and limit.is_over()):
                name = self.random.choice(busy or names)
                if child := self._child(name):
                    return name, child
            self._supervise(0.1)

    def _is_dreaming(self, name: str) -> bool:
        return any(0 < job.progress.fraction < 1 for job in self._running(name))

    def _running(self, name: str) -> list[Job]:
        with suppress(DreamError):
            running = self.store.list_jobs("local", states=frozenset({JobState.RUNNING}))
            return [job for job in running if (job.worker or "").startswith(f"{name}@")]
        return []

    def _child(self, name: str) -> psutil.Process | None:
        frozen = [process for _, process in self._frozen]
        with suppress(psutil.NoSuchProcess):
            for process in psutil.Process(self.stack.children[name].pid).children():
                if "--billiard-fork" in process.cmdline() and process not in frozen:
                    return process
        return None

    def _relaunch(self, name: str) -> None:
        self.stack.kill_component(name)
        self._launch(name, self.stack.children[name].component)

    def _launch(self, name: str, part: components.Component) -> None:
        """Starts a component without waiting for it, with a separate log for each start."""
        self._starts += 1
        self.stack.children[name] = Child(part, self.home / "logs" / f"{name}-{self._starts:03d}.log")
        self.stack._record()
