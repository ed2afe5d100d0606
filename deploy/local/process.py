"""The parts of the embedded stack as processes: started on a leash, watched until ready, stopped with grace."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil

DIE_WITH_PARENT = Path(__file__).with_name("die_with_parent.py")
ROOT = DIE_WITH_PARENT.parent.parent.parent  # where `api`, `worker` and `shared` lie
POLL_S = 0.05
KILL_LIMIT_S = 10.0  # a process that the kernel holds this long is beyond us


class PartFailed(Exception):
    """A part of the stack did not start; the message says which and shows the end of its log."""


@dataclass(frozen=True, kw_only=True)
class Part:
    """What to run, and how to tell that it works."""

    name: str
    argv: Sequence[str]
    ready: Callable[[float], bool]  # asked with the Unix time at which it was started
    env: Mapping[str, str] = field(default_factory=dict)  # on top of ours
    cwd: Path = ROOT
    start_limit_s: float = 60.0
    stop_limit_s: float = 10.0


@dataclass(frozen=True, kw_only=True)
class Footprint:
    """Enough to find a part's processes again from another process: it leads a process group of its own."""

    name: str
    pid: int
    started: float  # Unix time, seconds; tells a recycled pid apart
    stop_limit_s: float = 10.0

    @classmethod
    def of(cls, pid: int, *, name: str, stop_limit_s: float = 10.0) -> "Footprint":
        return cls(name=name, pid=pid, started=psutil.Process(pid).create_time(), stop_limit_s=stop_limit_s)

    def leader(self) -> psutil.Process | None:
        """The process itself, None when it is gone (a zombie is gone)."""
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(self.pid)
            alive = process.status() != psutil.STATUS_ZOMBIE
            return process if alive and abs(process.create_time() - self.started) < 1 else None
        return None

    def group(self) -> list[psutil.Process]:
        """The living processes of its group, also after the leader has died."""
        if psutil.pid_exists(self.pid) and abs(psutil.Process(self.pid).create_time() - self.started) >= 1:
            return []  # the number belongs to somebody else now, so our group is empty
        return [p for p in psutil.process_iter() if _group_of(p) == self.pid and _is_alive(p)]

    def stop(self) -> None:
        """Asks the leader to end, gives it its time, then kills what is left of the group."""
        self.terminate()
        self.kill()

    def terminate(self) -> None:
        """Asks the leader to end and gives it its time."""
        with suppress(psutil.NoSuchProcess):
            if leader := self.leader():
                leader.terminate()
        _wait_for(lambda: self.leader() is None, self.stop_limit_s)

    def kill(self) -> None:
        """SIGKILL to the whole group; returns when it is gone."""
        for process in self.group():
            with suppress(psutil.NoSuchProcess):
                process.kill()
        _wait_for(lambda: not self.group(), KILL_LIMIT_S)


def _wait_for(gone: Callable[[], bool], limit_s: float) -> None:
    # psutil's own waits take a zombie that its parent has not collected for a living process.
    deadline = time.monotonic() + limit_s
    while not gone() and time.monotonic() < deadline:
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
    """A part that this process has started."""

    def __init__(self, part: Part, log: Path) -> None:
        self.part = part
        self.log = log
        if log.exists():
            log.replace(log.with_suffix(".old.log"))
        leash = [sys.executable, "-I", "-S", str(DIE_WITH_PARENT), str(os.getpid())]
        with log.open("wb") as output:
            self._process = subprocess.Popen(  # noqa: S603 - the command is ours
                [*leash, *part.argv],
                cwd=part.cwd,
                env={**os.environ, **part.env},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for us alone: we stop the parts in order
            )
        self.footprint = Footprint.of(self._process.pid, name=part.name, stop_limit_s=part.stop_limit_s)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Raises PartFailed when it ends or its time limit passes first."""
        deadline = time.monotonic() + self.part.start_limit_s
        while not self.part.ready(self.footprint.started):
            if not self.is_alive:
                raise PartFailed(self._failure(f"ended with exit code {self._process.returncode}"))
            if time.monotonic() > deadline:
                raise PartFailed(self._failure(f"was not ready within {self.part.start_limit_s:g} s"))
            time.sleep(POLL_S)  # the parts have no event to wait for but their answer

    def stop(self) -> None:
        self.footprint.stop()
        self._process.wait()

    def kill(self) -> None:
        self.footprint.kill()
        self._process.wait()

    def _failure(self, what: str) -> str:
        lines = self.log.read_text(errors="replace").splitlines()[-20:]
        return "\n".join([f"{self.part.name} {what}. The end of {self.log}:", *(f"  {line}" for line in lines)])
