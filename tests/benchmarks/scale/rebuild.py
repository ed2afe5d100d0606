"""Measures how long a wiped Redis takes to be rebuilt from S3: python -m tests.benchmarks.scale.rebuild --jobs 5000

Real Redis and SeaweedFS, the real caretaker in this process, and a worker's claims in another thread.
"""

import argparse
import io
import logging
import os
import random
import resource
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import structlog

from deploy.local.embedded_services import StackState, embedded_redis, embedded_s3
from deploy.local.process import Child
from shared.celery_app import CeleryNotifier
from shared.clock import SystemClock
from shared.errors import StorageUnavailable
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from tests.fakes import documents
from tests.fakes.job_factory import a_manifest
from worker.recovery.caretaker import Caretaker

MODELS = ["efficientnet-lite0"]
AT_ONCE = 16


class Failing:
    """Passes calls on to the storage, except for a share of them."""

    def __init__(self, storage: S3ObjectStorage, share: float) -> None:
        self._storage, self._share, self._random = storage, share, random.Random(1)

    def __getattr__(self, name):
        call = getattr(self._storage, name)

        def attempt(*args, **options):
            if self._random.random() < self._share:
                raise StorageUnavailable
            return call(*args, **options)

        return attempt


def rebuild(settings: Settings, jobs: int, failing: float, parts: dict[str, Child]) -> dict[str, float]:
    """Wipes Redis, and measures until every job waits again and Redis is declared complete."""
    store, storage = RedisJobStore.connect(settings), S3ObjectStorage.connect(settings)
    store.redis.flushall()
    caretaker = Caretaker(
        store=store,
        storage=Failing(storage, failing) if failing else storage,
        notifier=CeleryNotifier.connect(settings),
        clock=SystemClock(),
        settings=settings,
    )
    first: list[float] = []
    worker = threading.Thread(target=lambda: first.append(_first_claim(settings)))
    used, began = _processor_s(parts), time.monotonic()
    worker.start()
    rounds = 0
    while store.generation() is None:
        caretaker.run_round()
        rounds += 1
    took_s = time.monotonic() - began
    worker.join()
    restored = store.redis.zcard("dream:state:queued") + store.redis.zcard("dream:state:running")
    if restored != jobs:
        raise SystemExit(f"{restored} of {jobs} jobs were restored")
    processor_s = {name: round(now - used[name], 1) for name, now in _processor_s(parts).items()}
    return {"seconds": round(took_s, 1), "first_claim_s": round(first[0] - began, 2), "rounds": rounds, **processor_s}


def _first_claim(settings: Settings) -> float:
    store = RedisJobStore.connect(settings)
    while store.claim("bench", MODELS, lease_s=600) is None:
        time.sleep(0.05)
    return time.monotonic()


def _processor_s(parts: dict[str, Child]) -> dict[str, float]:
    own = resource.getrusage(resource.RUSAGE_SELF)
    times = {name: psutil.Process(part.pid).cpu_times() for name, part in parts.items()}
    used = {f"{name}_processor_s": time_used.user + time_used.system for name, time_used in times.items()}
    return {"caretaker_processor_s": own.ru_utime + own.ru_stime, **used}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--jobs", type=int, default=5000)
    parser.add_argument("--failing", type=float, nargs="+", default=[0.0, 0.2], help="shares of S3 calls that fail")
    args = parser.parse_args()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    with tempfile.TemporaryDirectory(prefix="bench-rebuild-") as folder:
        state, settings = StackState(), Settings()
        redis, settings = embedded_redis(Path(folder) / "redis", state, settings)
        s3, settings = embedded_s3(Path(folder) / "s3", state, settings)
        parts = {part.name: Child(part, Path(folder) / f"{part.name}.log") for part in (redis, s3)}
        try:
            for part in parts.values():
                part.wait_until_ready()
            storage = S3ObjectStorage.connect(settings)
            with ThreadPoolExecutor(AT_ONCE) as pool:
                list(
                    pool.map(
                        lambda _: documents.accepted(storage, a_manifest(), io.BytesIO(bytes(50_000))), range(args.jobs)
                    )
                )
            for failing in args.failing:
                found = rebuild(settings, args.jobs, failing, parts)
                numbers = "  ".join(f"{name} {value}" for name, value in found.items())
                load = os.getloadavg()[0]
                sys.stdout.write(f"{args.jobs} jobs, {failing:.0%} of S3 calls fail, load {load:.1f}: {numbers}\n")
                sys.stdout.flush()
        finally:
            for part in parts.values():
                part.stop()


if __name__ == "__main__":
    main()
