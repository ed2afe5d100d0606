"""Starts what is measured: the API on one core; Redis, S3 and wrk, the load generator, on the others."""

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from deploy.local import components
from deploy.local.embedded_services import StackState, embedded_redis, embedded_s3
from deploy.local.process import ROOT, Child, Component
from shared.settings import Settings

# On, and out of reach.
LIMITS = {f"{name}_per_minute": 10_000_000 for name in ("polls", "requests", "submissions")}


@dataclass(frozen=True)
class Api:
    """A running API: gunicorn and its two worker processes."""

    checkout: Path
    url: str
    pid: int
    settings: Settings

    def cpu_s(self) -> tuple[float, float]:
        """Returns the user and system CPU time of all its processes so far, in seconds."""
        times = [process.cpu_times() for process in self._processes()]
        return sum(time.user for time in times), sum(time.system for time in times)

    def memory(self) -> str:
        """Returns the PSS of each worker process, which counts shared memory once."""
        sizes = [process.memory_full_info() for process in self._processes()[1:]]
        return ", ".join(f"{size.rss / 1e6:.0f} MB (PSS {size.pss / 1e6:.0f})" for size in sizes)

    def _processes(self) -> list[psutil.Process]:
        leader = psutil.Process(self.pid)
        return [leader, *leader.children(recursive=True)]


@contextmanager
def on_one_core(checkouts: Sequence[Path] = (ROOT,)) -> Iterator[list[Api]]:
    """Runs the API of each checkout, all pinned to the first core; idle ones use no CPU time."""
    cores = sorted(os.sched_getaffinity(0))
    others = cores[1:] or cores
    with tempfile.TemporaryDirectory() as folder, ExitStack() as opened:
        home, kept, settings = Path(folder), StackState(), Settings(**LIMITS)
        redis, settings = embedded_redis(home / "redis", kept, settings)
        s3, settings = embedded_s3(home / "s3", kept, settings)
        env = {
            **components.environment(settings),
            **{f"DREAM_{name.upper()}": str(limit) for name, limit in LIMITS.items()},
        }

        def start(part: Component, on: list[int]) -> Child:
            os.sched_setaffinity(0, on)  # a child inherits it
            try:
                child = Child(part, home / f"{part.name}.log")
            finally:
                os.sched_setaffinity(0, others)
            opened.callback(child.stop)
            child.wait_until_ready()
            return child

        for part in (redis, s3):
            start(part, others)
        apis = []
        for number, checkout in enumerate(checkouts):
            port = kept.port(f"api-{number}")
            part = _of(checkout, components.api(port, env), number)
            apis.append(Api(checkout, f"http://127.0.0.1:{port}", start(part, cores[:1]).pid, settings))
        time.sleep(1)
        yield apis


def _of(checkout: Path, part: Component, number: int) -> Component:
    """Returns the component of another checkout, run by this Python."""
    argv = [arg.replace(str(ROOT), str(checkout)) if arg.endswith(".conf.py") else arg for arg in part.argv]
    return replace(part, name=f"api-{number}", argv=argv, cwd=checkout)


@dataclass(frozen=True, kw_only=True)
class Load:
    """The options of wrk."""

    connections: int = 16
    per_s: int | None = None  # so many in all, at random moments; None: as soon as an answer is there
    headers: tuple[str, ...] = ()
    script: str = ""


@dataclass(frozen=True, kw_only=True)
class Answered:
    """The results of wrk."""

    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_ms: float  # of the api, per request
    kernel: float  # the kernel's share of that
    busy: float  # the share of its core
    errors: str | None

    def __str__(self) -> str:
        speed = f"{self.per_s:6.0f}/s   p50 {self.p50_ms:6.1f} ms   p99 {self.p99_ms:6.1f} ms"
        cost = f"{self.cpu_ms:5.2f} ms of processor, {self.kernel:3.0%} kernel, core {self.busy:4.0%} busy"
        text = f"{speed}   {cost}"
        return f"{text}   {self.errors}" if self.errors else text


def ask(api: Api, path: str, load: Load, *, seconds: float) -> Answered:
    pace = ""
    if load.per_s is not None:
        mean_ms = 1000 * load.connections / load.per_s
        pace = f"math.randomseed(7); function delay() return math.random(0, {2 * mean_ms:.0f}) end\n"
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as lua:
        lua.write(pace + load.script)
        lua.flush()
        command = ["wrk", "-t1", f"-c{load.connections}", f"-d{seconds:.0f}s", "--latency", "-s", lua.name]
        for header in load.headers:
            command += ["-H", header]
        (user, kernel), begun = api.cpu_s(), time.monotonic()
        text = subprocess.run([*command, api.url + path], capture_output=True, text=True, check=True).stdout
        took_s = time.monotonic() - begun
        user, kernel = api.cpu_s()[0] - user, api.cpu_s()[1] - kernel
    errors = re.search(r"(Non-2xx.*|Socket errors.*)", text)
    return Answered(
        per_s=float(_after(r"Requests/sec:\s+([\d.]+)", text)),
        p50_ms=_ms(_after(r"(?m)^ +50% +(\S+)", text)),
        p99_ms=_ms(_after(r"(?m)^ +99% +(\S+)", text)),
        cpu_ms=1000 * (user + kernel) / float(_after(r"(\d+) requests in", text)),
        kernel=kernel / (user + kernel),
        busy=(user + kernel) / took_s,
        errors=errors[1] if errors else None,
    )


def _after(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    if found is None:
        raise ValueError(f"wrk did not say {pattern}: {text}")
    return found[1]


def _ms(text: str) -> float:
    units = {"us": 1e-3, "ms": 1.0, "s": 1e3, "m": 6e4}
    number, unit = re.fullmatch(r"([\d.]+)(\w+)", text).groups()  # type: ignore[union-attr] # wrk's own form
    return float(number) * units[unit]
