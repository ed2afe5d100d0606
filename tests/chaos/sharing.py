"""Hits the coordinator or the helper of a shared dream in the middle of it."""

import threading
import time
from collections import Counter
from collections.abc import Callable

import psutil

from deploy.local.time_limit import TimeLimit
from tests.chaos.crowd import LARGE_SEED
from tests.chaos.stage import LEASE_S, WORKERS
from tests.chaos.troubles import Troubles

SHARED_WITHIN_S = 30.0  # on an idle machine: the jobs before it end, and the other worker begins to help


class Sharing(Troubles):
    """Submits large dreams while the crowd rests: a worker helps only while it has no job."""

    shared: set[str]  # jobs that were seen to have a helper
    shared_hits: Counter[str]  # faults that hit a worker in the middle of a shared dream, by its role

    def start(self) -> None:
        self.shared, self.shared_hits = set(), Counter()
        self._tiles: dict[str, int] = {}
        super().start()

    def _sharing_kinds(self) -> dict[str, Callable[[], None]]:
        return {
            "kill -9 coordinator": lambda: self._hit("coordinator", psutil.Process.kill),
            "kill -9 helper": lambda: self._hit("helper", psutil.Process.kill),
            "SIGSTOP helper": lambda: self._hit("frozen helper", self._freeze),
        }

    def _hit(self, role: str, hit: Callable[[psutil.Process], None]) -> None:
        with self.crowd.resting():
            submission = threading.Thread(target=self.crowd.submit, args=(LARGE_SEED,), daemon=True)
            submission.start()  # main must restart what the submission may wait for
            limit = TimeLimit(SHARED_WITHIN_S)
            while not limit.is_over():
                self._supervise(0.2)
                pair = self._sharing()
                child = self._child(pair[role != "coordinator"]) if pair else None
                if child is not None:
                    hit(child)
                    self.shared_hits[role] += 1
                    return

    def _freeze(self, child: psutil.Process) -> None:
        child.suspend()
        self._frozen.append((time.monotonic() + self.random.uniform(0.5, 2.5) * LEASE_S, child))

    def _sharing(self) -> tuple[str, str] | None:
        """Returns (coordinator, helper) of a dream of which tiles have been computed elsewhere since the last call."""
        helping = {name for name in WORKERS if self._has_new_tiles(name)}
        for coordinator, helper in (WORKERS, WORKERS[::-1]):
            large = [job.id for job in self._running(coordinator) if job.params.seed == LARGE_SEED]
            if large and helper in helping:
                self.shared.update(large)
                return coordinator, helper
        return None

    def _has_new_tiles(self, name: str) -> bool:
        """Returns whether the worker has received tiles since the last call."""
        log = self.stack.children[name].log
        count = log.read_text(errors="replace").count("compute_tile[") if log.exists() else 0
        before, self._tiles[name] = self._tiles.get(name, count), count
        return count > before
