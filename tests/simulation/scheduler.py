"""Runs cooperative tasks in virtual time: one at a time, in an order that a seed decides.

A task is a greenlet of a process. It yields control only when it sleeps or waits, which every call on an interface does
(see `links.py`). A dead process never runs again: every further call of its tasks raises Killed.
"""

import heapq
import random
from collections.abc import Callable
from itertools import count

from greenlet import getcurrent, greenlet

STARTED_AT = 1_800_000_000.0


class Killed(BaseException):
    """Ends a task whose process is dead."""


class Process:
    """Describes a process, whose tasks freeze and die together and share a clock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.dead = False
        self.frozen_until = 0.0
        self.skew_s = 0.0
        self.disk_is_full = False
        self.calls_left: int | None = None  # set by a fault: number of calls until it dies in one
        self.at_decision: Callable[[Process], None] | None = None  # a fault of its next conditional write


class Task:
    def __init__(self, process: Process, name: str, run: Callable[[], object], hub: greenlet) -> None:
        self.process = process
        self.name = name
        self.greenlet = greenlet(run, parent=hub)
        self.done = False
        self.error: BaseException | None = None
        self.wake = 0  # incremented by every wake-up, to recognize an outdated one
        self.began: float | None = None  # virtual time at which the observed call that it runs was made


class Scheduler:
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.now = STARTED_AT
        self.crashes: list[str] = []  # exceptions that left a task
        self._heap: list[tuple[float, float, int, Task, int]] = []
        self._order = count()
        self._tasks: dict[greenlet, Task] = {}
        self._hub = getcurrent()

    @property
    def current(self) -> Task:
        return self._tasks[getcurrent()]

    def spawn(self, process: Process, name: str, work: Callable[[], object], *, after_s: float = 0.0) -> Task:
        def run() -> None:
            try:
                work()
            except Killed:
                pass
            except Exception as exc:  # noqa: BLE001 - the simulation searches for such errors
                task.error = exc
                if not process.dead:
                    self.crashes.append(f"{process.name}/{name}: {exc!r}")
            task.done = True

        task = Task(process, name, run, self._hub)
        self._tasks[task.greenlet] = task
        self._push(task, self.now + after_s)
        return task

    def sleep(self, seconds: float) -> None:
        """Lets other tasks run for that many seconds."""
        task = self.current
        self.check(task)
        self._push(task, self.now + seconds)
        self._switch(task)

    def wait(self, waiters: list[Task], timeout_s: float | None) -> None:
        """Waits until `wake` or the timeout, in seconds."""
        task = self.current
        self.check(task)
        waiters.append(task)
        if timeout_s is not None:
            self._push(task, self.now + timeout_s)
        self._switch(task)
        if task in waiters:
            waiters.remove(task)

    def wake(self, waiters: list[Task]) -> None:
        while waiters:
            self._push(waiters.pop(), self.now)

    def check(self, task: Task) -> None:
        if task.process.dead:
            raise Killed

    def run(self, until: float, *, done: Callable[[], bool] = lambda: False) -> None:
        """Runs tasks in the order of time, until the virtual time `until` or until `done`."""
        while self._heap and self._heap[0][0] <= until and not done():
            at, tie, _, task, wake = heapq.heappop(self._heap)
            if task.wake != wake or task.done:
                continue
            self.now = max(self.now, at)
            if not task.process.dead and task.process.frozen_until > self.now:
                heapq.heappush(self._heap, (task.process.frozen_until, tie, next(self._order), task, wake))
                continue
            task.wake += 1
            if task.process.dead:
                self._unwind(task)
            else:
                task.greenlet.switch()
                if task.done:
                    self._tasks.pop(task.greenlet, None)
        self.now = max(self.now, min(until, self._heap[0][0]) if self._heap else until)

    def thaw(self) -> None:
        """Resumes every frozen process."""
        entries, self._heap = self._heap, []
        for at, tie, order, task, wake in entries:
            frozen = at == task.process.frozen_until
            self._heap.append((self.now if frozen else at, tie, order, task, wake))
        heapq.heapify(self._heap)
        for task in self._tasks.values():
            task.process.frozen_until = 0.0

    def close(self) -> None:
        """Ends every remaining task, without any effect."""
        for task in list(self._tasks.values()):
            task.process.dead = True
            self._unwind(task)

    def _unwind(self, task: Task) -> None:
        if not task.done and task.greenlet:
            task.greenlet.throw(Killed)
        task.done = True
        self._tasks.pop(task.greenlet, None)

    def _push(self, task: Task, at: float) -> None:
        # Ties are broken at random: tasks due at the same time may run in any order.
        heapq.heappush(self._heap, (at, self.rng.random(), next(self._order), task, task.wake))

    def _switch(self, task: Task) -> None:
        self._hub.switch()
        self.check(task)


class SimClock:
    """Implements a process's clock, which is off by the process's skew; the skew may change at any time."""

    def __init__(self, scheduler: Scheduler, process: Process) -> None:
        self._scheduler = scheduler
        self._process = process

    def now(self) -> float:
        return self._scheduler.now + self._process.skew_s

    def monotonic(self) -> float:
        return self._scheduler.now

    def sleep(self, seconds: float) -> None:
        self._scheduler.sleep(seconds)
