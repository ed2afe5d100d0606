"""Starts, watches and stops the processes of the embedded stack."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from deploy.local.time_limit import TimeLimit

DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
ROOT = DIE_WITH_PARENT.parent.parent.parent  # contains `api`, `worker` and `shared`
POLL_S = 0.05
KILL_LIMIT_S = 30.0  # a process that survives SIGKILL this long is stuck in the kernel


class ComponentFailed(Exception):
    """A component did not start; the message names it and shows the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Component:
    """A program to run, and how to tell when it is ready. Limits are those of a quiet machine, see `time_limit`."""

    name: str
    argv: Sequence[str]
    ready: Callable[[float], bool]  # called with its start, Unix time
    env: Mapping[str, str] = field(default_factory=dict)  # in addition to ours
    cwd: Path = ROOT
    start_limit_s: float = 300.0  # only for a component that hangs: one that ends is noticed at once
    stop_limit_s: float = 10.0


@dataclass(frozen=True, kw_only=True)
class ProcessRecord:
    """Identifies a component's process group from another process. The recorded process leads the group."""

    name: str
    pid: int
    started: float  # Unix time, seconds; detects a recycled pid
    stop_limit_s: float = 10.0

    @classmethod
    def of(cls, pid: int, *, name: str, stop_limit_s: float = 10.0) -> "ProcessRecord":
        return cls(name=name, pid=pid, started=psutil.Process(pid).create_time(), stop_limit_s=stop_limit_s)

    def leader(self) -> psutil.Process | None:
        """Returns the recorded process, or None when it has ended (a zombie counts as ended)."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if alive and abs(process.create_time() - self.started) < 1 else None
        return None

    def group(self) -> list[psutil.Process]:
        """Returns the living processes of the group, even after its leader has died."""
        if psutil.pid_exists(self.pid) and abs(psutil.Process(self.pid).create_time() - self.started) >= 1:
            return []  # the pid was recycled, so our group is empty
        return [p for p in psutil.process_iter() if _group_of(p) == self.pid and _is_alive(p)]

    def stop(self) -> None:
        """Sends SIGTERM to the leader, waits up to `stop_limit_s`, then kills the rest of the group."""
        self.terminate()
        self.kill()

    def terminate(self) -> None:
        """Sends SIGTERM to the leader and waits up to `stop_limit_s`."""
        with suppress(psutil.NoSuchProcess):
            if leader := self.leader():
                leader.terminate()
        _wait_for(lambda: self.leader() is None, self.stop_limit_s)

    def kill(self) -> None:
        """Sends SIGKILL to the whole group and waits until it is gone."""
        for process in self.group():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _wait_for(lambda: not self.group(), KILL_LIMIT_S)


def _wait_for(condition: Callable[[], bool], limit_s: float) -> None:
    # psutil's own wait counts a zombie that its parent has not reaped as alive.
    limit = TimeLimit(limit_s)
    while not condition() and not limit.is_over():
        time.sleep(POLL_S)


def _group_of(process: psutil.Process) -> int | None:
    try:
        return os.getpgid(process.pid)
    except (ProcessLookupError, PermissionError):
        return None


def _is_alive(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    return False


class Child:
    """A component started by this process."""

    def __init__(self, component: Component, log: Path) -> None:
        self.component = component
        self.log = log
        if log.exists():
            log.replace(log.with_suffix(".old.log"))
        launcher = [sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid())]
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [*launcher, *component.argv],
                cwd=component.cwd,
                env={**os.environ, **component.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C must reach only the stack, which stops its components in order
            )
        self.record = ProcessRecord.of(self._process.pid, name=component.name, stop_limit_s=component.stop_limit_s)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Waits until the component is ready. Raises ComponentFailed when it ends, or its time limit passes, first."""
        limit = TimeLimit(self.component.start_limit_s)
        while not self.component.ready(self.record.started):
            if not self.is_alive:
                raise ComponentFailed(self._failure(f"ended with exit code {self._process.returncode}"))
            if limit.is_over():
                raise ComponentFailed(self._failure(f"was not ready within {limit}"))
            time.sleep(POLL_S)  # there is nothing to wait on but the component's answer

    def stop(self) -> None:
        self.record.stop()
        self._process.wait()

    def kill(self) -> None:
        self.record.kill()
        self._process.wait()

    def _failure(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-20:]
        return "\n".join([f"{self.component.name} {what}. The end of {self.log}:", *(f"  {line}" for line in lines)])
