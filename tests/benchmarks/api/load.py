"""Measures the API's load limits: polls, lists, submissions and streams on loopback. Run: make bench-api

With --against PATH, another checkout is asked the same in turns, and each row tells what has become of it.
"""

import argparse
import io
import shutil
import socket
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
from PIL import Image

from deploy.local.process import ROOT
from tests.benchmarks.api.stage import Api, Load, ask, on_one_core

SECONDS, TURNS = 10, 4
STREAMS, JOBS = 200, 20
POLLERS, RATES = 100, (250, 500, 1000)  # polls a second; the aim: 99 of 100 answered within 25 ms


@dataclass(frozen=True)
class Target:
    """An API process and one of its queued jobs."""

    api: Api
    job: str
    etag: str

    @property
    def unchanged(self) -> tuple[str]:
        return (f"If-None-Match: {self.etag}",)


Question = Callable[[Target], tuple[str, Load]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", type=Path, metavar="PATH", help="another checkout")
    against = parser.parse_args().against
    if not shutil.which("wrk"):
        sys.stderr.write("wrk is not here: apt-get install wrk\n")
        return 1
    with (
        on_one_core([against.resolve(), ROOT] if against else [ROOT]) as apis,
        a_form() as script,
        ExitStack() as held,
    ):
        memory(apis, "at first")
        targets = [prepare(api) for api in apis]
        row("poll, 200", targets, lambda target: (target.job, Load()))
        row("poll, 200, 8 connections", targets, lambda target: (target.job, Load(connections=8)))
        row("poll, 304", targets, lambda target: (target.job, Load(headers=target.unchanged)))
        for rate in RATES:
            row(f"poll, 200, {POLLERS} pollers, {rate}/s", targets, paced(rate))
        row(f"list of {JOBS}", targets, lambda _: (f"/v1/jobs?limit={JOBS}", Load()))
        row("submit 1 MB", targets, lambda _: ("/v1/jobs", Load(connections=8, script=script)))
        memory(apis, "after that")
        for target in targets:
            held.enter_context(streams(target))
        row(f"poll, 200, {POLLERS} pollers, {RATES[1]}/s, {STREAMS} streams", targets, paced(RATES[1]))
        memory(apis, f"with {STREAMS} streams")
    return 0


def paced(per_s: int) -> Question:
    return lambda target: (target.job, Load(connections=POLLERS, per_s=per_s))


def row(name: str, targets: Sequence[Target], question: Question) -> None:
    """Prints one line per API. Several are measured in turns, because the machine's speed changes."""
    turns = TURNS if len(targets) > 1 else 1
    answers = [
        [ask(target.api, *question(target), seconds=SECONDS / turns) for target in targets] for _ in range(turns)
    ]
    for number, target in enumerate(targets):
        ours = [turn[number] for turn in answers]
        typical = sorted(ours, key=lambda answer: answer.per_s)[len(ours) // 2]
        costs = statistics.median(turn[number].cpu_ms / turn[0].cpu_ms for turn in answers)
        compared = f"   {costs:.2f} of the first's processor time" if number else ""
        say(f"{name}, {target.api.checkout.name}" if len(targets) > 1 else name, f"{typical}{compared}")


def memory(apis: Sequence[Api], when: str) -> None:
    for api in apis:
        say(f"memory {when}, {api.checkout.name}" if len(apis) > 1 else f"memory {when}", api.memory())


def say(name: str, what: str) -> None:
    sys.stdout.write(f"{name:44} {what}\n")
    sys.stdout.flush()


def prepare(api: Api) -> Target:
    with httpx.Client(base_url=api.url, timeout=30) as client:
        jobs = [client.post("/v1/jobs", files={"image": ("a.jpg", a_photograph())}).json() for _ in range(JOBS)]
        job = jobs[0]["links"]["self"]
        return Target(api, job, client.get(job).headers["ETag"])


def a_photograph() -> bytes:
    """Returns a JPEG of about 1 MB."""
    file = io.BytesIO()
    noise = Image.effect_noise((1400, 1000), 90)
    Image.merge("RGB", [noise, noise.rotate(90, expand=False), noise]).save(file, "JPEG", quality=82)
    return file.getvalue()


@contextmanager
def a_form() -> Iterator[str]:
    """Returns the wrk script that submits the photograph."""
    with tempfile.NamedTemporaryFile() as body:
        head = '--dream\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
        body.write(head.encode() + a_photograph() + b"\r\n--dream--\r\n")
        body.flush()
        yield (
            f'local f = io.open("{body.name}", "rb"); wrk.body = f:read("*a"); f:close(); wrk.method = "POST"; '
            'wrk.headers["Content-Type"] = "multipart/form-data; boundary=dream"'
        )


@contextmanager
def streams(target: Target) -> Iterator[None]:
    """Opens event streams, and returns once each has sent its first event."""
    host, port = target.api.url.removeprefix("http://").split(":")
    with ExitStack() as held:
        for _ in range(STREAMS):
            stream = held.enter_context(socket.create_connection((host, int(port)), timeout=20))
            stream.sendall(f"GET {target.job}/events HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode())
            while b"event: job" not in stream.recv(65536):
                pass
        yield


if __name__ == "__main__":
    sys.exit(main())
