"""Measures what a long queue and many owners cost Redis: python -m tests.benchmarks.scale.claims"""

import sys
import tempfile
from pathlib import Path

from deploy.local.embedded_services import StackState, embedded_redis
from deploy.local.process import Child
from shared.redis.job_store import RedisJobStore
from shared.settings import Settings
from tests.fakes.job_factory import a_job

CASES = ((1_000, 1), (10_000, 1), (10_000, 1_000))  # waiting jobs, owners
MODEL = "efficientnet-lite0"


def measure(store: RedisJobStore, jobs: int, owners: int) -> dict[str, float]:
    """Microseconds inside Redis, which has one processor for all of it; bytes per job."""
    store.redis.flushall()
    for number in range(jobs):
        store.create(a_job(owner=f"owner-{number % owners}"))
    found = {"bytes per job": store.redis.info()["used_memory"] / jobs}
    job = store.claim("w", [MODEL], lease_s=600)
    calls = {
        "claim": lambda: store.claim("w", [MODEL], lease_s=600),
        "claim, nothing for it": lambda: store.claim("w", ["another"], lease_s=600),
        "renew": lambda: store.renew(job, lease_s=600, progress=job.progress),
        "queue_stats": store.queue_stats,
    }
    for name, call in calls.items():
        store.redis.config_resetstat()
        for _ in range(100):
            call()
        stats = store.redis.info("commandstats")
        # A script's time is its caller's; outside of scripts, all commands count.
        counted = ["cmdstat_evalsha"] if "cmdstat_evalsha" in stats and name != "queue_stats" else list(stats)
        found[f"{name}, us"] = sum(stats[command]["usec"] for command in counted) / 100
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        part, settings = embedded_redis(Path(folder) / "redis", StackState(), Settings())
        redis = Child(part, Path(folder) / "redis.log")
        try:
            redis.wait_until_ready()
            for jobs, owners in CASES:
                found = measure(RedisJobStore.connect(settings), jobs, owners)
                numbers = "  ".join(f"{name} {value:.0f}" for name, value in found.items())
                sys.stdout.write(f"{jobs:>6} waiting, {owners:>4} owners: {numbers}\n")
        finally:
            redis.stop()


if __name__ == "__main__":
    main()
