"""Measures what honest clients see among hostile ones. Run: make bench-hostile (a minute; SECONDS=20, SEED=7)

1,000 connections send slowly, too much, or what is not HTTP, half of them with a key of their own. Ten honest clients
poll, check the health and submit. Exits with 1 if an honest client saw an error, a poll's p99 of 250 ms or more, or a
health check of a second or more.
"""

import argparse
import asyncio
import contextlib
import multiprocessing
import os
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import httpx

from deploy.local import components
from deploy.local.embedded_services import StackState, embedded_redis, embedded_s3
from deploy.local.process import Child
from shared.settings import Settings
from tests.benchmarks.api.attacks import attack
from tests.fakes.pictures import a_picture

CONNECTIONS, CLIENTS = 1000, 10
POLL_S, HEALTH_S, SUBMIT_S = 0.1, 1.0, 5.0  # between two requests of one honest client
POLL_P99_S, HEALTH_LIMIT_S = 0.25, 1.0
ADMIN_KEY = "an-admin-key-of-some-length"


@dataclass
class Seen:
    """What the honest clients saw."""

    polls_s: list[float] = field(default_factory=list)
    health_s: list[float] = field(default_factory=list)
    submissions_s: list[float] = field(default_factory=list)
    errors: Counter[str] = field(default_factory=Counter)

    @property
    def is_well(self) -> bool:
        return not self.errors and quantile(self.polls_s, 0.99) < POLL_P99_S and max(self.health_s) < HEALTH_LIMIT_S

    def __str__(self) -> str:
        named = {"polls": self.polls_s, "health checks": self.health_s, "submissions": self.submissions_s}
        lines = [
            f"{name:14} {len(times):6}   p50 {1000 * quantile(times, 0.5):7.1f} ms   "
            f"p99 {1000 * quantile(times, 0.99):7.1f} ms   longest {1000 * max(times):7.1f} ms"
            for name, times in named.items()
            if times
        ]
        return "\n".join([*lines, f"errors         {dict(self.errors) or 'none'}"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=20150617)
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    options = parser.parse_args()
    with an_api() as url:
        bob, mallory = keys(url, "bob"), keys(url, "mallory")[0]  # before the attack uses up this address's failures
        before = asyncio.run(honest(url, *keys(url, "ann"), seconds=min(10.0, options.seconds)))
        sys.stdout.write(f"alone\n{before}\n")
        context = multiprocessing.get_context("spawn")
        count = context.Value("i", 0)
        attacker = context.Process(
            target=attack_for_good, args=(url, mallory, options.connections, options.seed, count)
        )
        attacker.start()
        try:
            time.sleep(3)  # until the connections are open
            seen = asyncio.run(honest(url, *bob, seconds=options.seconds))
        finally:
            attacker.terminate()
            attacker.join()
        sys.stdout.write(
            f"among {options.connections} hostile connections, {count.value} attacks, seed {options.seed}\n{seen}\n"
        )
    return 0 if seen.is_well else 1


@contextlib.contextmanager
def an_api() -> Iterator[str]:
    """Runs the API on a real Redis and S3, with keys and the default limits. Yields its address."""
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as opened:
        home, state, settings = Path(folder), StackState(), Settings()
        redis, settings = embedded_redis(home / "redis", state, settings)
        s3, settings = embedded_s3(home / "s3", state, settings)
        keys_on = {"DREAM_KEYS": "on", "DREAM_ADMIN_KEY": ADMIN_KEY, "DREAM_POLLS_PER_MINUTE": "1000000"}
        port = state.port("api")
        api = components.api(port, {**components.environment(settings), **keys_on})
        for component in (redis, s3, api):
            child = Child(component, home / f"{component.name}.log")
            opened.callback(child.stop)
            child.wait_until_ready()
        yield f"http://127.0.0.1:{port}"


def quantile(times: list[float], share: float) -> float:
    return sorted(times)[min(len(times) - 1, int(share * len(times)))]


def keys(url: str, owner: str) -> tuple[str, str]:
    """Returns a new key that every process of the API has verified, and the path of a job."""
    admin = {"Authorization": f"Bearer {ADMIN_KEY}"}
    key = httpx.post(f"{url}/v1/keys", json={"owner": owner}, headers=admin).json()["key"]
    bearer = {"Authorization": f"Bearer {key}"}
    job = httpx.post(f"{url}/v1/jobs", files={"image": ("a.jpg", a_picture())}, headers=bearer).json()
    for _ in range(40):  # each is a new connection, to either process
        httpx.get(f"{url}{job['links']['self']}", headers=bearer)
    return key, job["links"]["self"]


async def honest(url: str, key: str, job: str, *, seconds: float) -> Seen:
    seen, ends_at = Seen(), time.monotonic() + seconds
    bearer = {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=bearer, timeout=30) as client:

        async def every(pause_s: float, times: list[float], method: str, path: str, **body: object) -> None:
            await asyncio.sleep(random.random() * pause_s)
            while time.monotonic() < ends_at:
                begun = time.monotonic()
                try:
                    response = await client.request(method, path, **body)
                except httpx.HTTPError as exc:
                    seen.errors[f"{path} {type(exc).__name__}"] += 1
                else:
                    times.append(time.monotonic() - begun)
                    if not response.is_success:
                        seen.errors[f"{path} {response.status_code} {response.text[:80]}"] += 1
                await asyncio.sleep(pause_s)

        picture = a_picture()
        await asyncio.gather(
            *(every(POLL_S, seen.polls_s, "GET", job) for _ in range(CLIENTS)),
            *(every(HEALTH_S, seen.health_s, "GET", "/healthz") for _ in range(CLIENTS)),
            *(
                every(SUBMIT_S, seen.submissions_s, "POST", "/v1/jobs", files={"image": ("a.jpg", picture)})
                for _ in range(CLIENTS)
            ),
        )
    return seen


def attack_for_good(url: str, key: str, connections: int, seed: int, count: "Synchronized[int]") -> None:
    def begun() -> None:
        count.value += 1  # only this process writes it

    with contextlib.suppress(OSError):
        os.nice(5)  # it stands for other machines, and must not take this one's processors from the clients
    asyncio.run(attack(url, key, connections=connections, seed=seed, on_attack=begun))


if __name__ == "__main__":
    sys.exit(main())
