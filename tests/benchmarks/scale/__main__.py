"""`make bench-scale`: measures the gain of a second worker and the queue's overhead per job.

The whole stack on this machine, each worker pinned to one core; Redis, S3, the API and this program share what is left.
Prints JSON; `--json FILE` keeps the numbers. docs/SCALING.md plans from them.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import redis
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from api.client.dream_client import DreamClient
from deploy.local import components
from deploy.local.embedded_services import StackState
from deploy.local.process import Child
from deploy.local.stack import Stack
from shared.jobs.job import JobState

TINY = {"octaves": 1, "iterations": 2, "jitter": 0}  # on the tiny picture: next to no dreaming
USUAL = {"octaves": 3, "iterations": 5}
PIN = "import os, sys; os.sched_setaffinity(0, {int(sys.argv[1])}); os.execv(sys.argv[2], sys.argv[2:])"


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class Fleet:
    """A stack with pinned workers, and access to their metrics."""

    def __init__(self, home: Path, workers: int, cores: Sequence[int] = (0, 1)) -> None:
        """cores: one for each worker."""
        self._ports = StackState()
        caretaker_port = self._ports.port("caretaker")
        self.stack = Stack(home, workers=0, env={"DREAM_METRICS_PORT": str(caretaker_port)})
        self.stack.start()
        self.metrics = [f"http://127.0.0.1:{caretaker_port}/metrics", f"{self.stack.api_url}/metrics"]
        self._workers = [self._worker(part, core) for part, core in zip(self._parts(workers), cores, strict=False)]
        for worker in self._workers:
            worker.wait_until_ready()
        self.client = DreamClient(self.stack.api_url)

    def _parts(self, count):
        env = {**components.environment(self.stack.settings), "DREAM_TILE_THREADS": "1"}
        return components.workers(count, self.stack.settings, env)

    def _worker(self, part, core: int) -> Child:
        port = self._ports.port(part.name)
        self.metrics.append(f"http://127.0.0.1:{port}/metrics")
        python = part.argv[0]
        argv = [python, "-c", PIN, str(core), *part.argv]
        return Child(
            replace(part, argv=argv, env={**part.env, "DREAM_METRICS_PORT": str(port)}),
            self.stack.home / f"{part.name}.log",
        )

    def records(self, event: str) -> list[dict]:
        """Returns the workers' log records of that event."""
        lines = [line for worker in self._workers for line in worker.log.read_text().splitlines()]
        found = (json.loads(line) for line in lines if f'"{event}"' in line and line.startswith("{"))
        return [record for record in found if record["event"] == event]

    def s3_calls(self) -> dict[str, float]:
        calls: dict[str, float] = {}
        for url in self.metrics:
            for family in text_string_to_metric_families(httpx.get(url).text):
                for sample in family.samples:
                    if sample.name == "dream_s3_requests_total":
                        operation = sample.labels["operation"]
                        calls[operation] = calls.get(operation, 0) + sample.value
        return calls

    def redis_calls(self) -> dict[str, int]:
        """Returns Redis's calls by command: a script counts as one call, and so does each command inside it."""
        with redis.Redis.from_url(self.stack.settings.redis_url) as client:
            stats = client.info("commandstats")
            return {name.removeprefix("cmdstat_"): about["calls"] for name, about in stats.items()}

    def processor_s(self) -> dict[str, float]:
        """Returns the CPU time of each part so far, which load on the machine does not change."""
        used: dict[str, float] = {}
        parts_running = {**self.stack.children, **{worker.component.name: worker for worker in self._workers}}
        for name, child in parts_running.items():
            leader = psutil.Process(child.pid)
            times = [process.cpu_times() for process in (leader, *leader.children(recursive=True))]
            kind = name.split("-")[0]
            used[kind] = used.get(kind, 0) + sum(time.user + time.system for time in times)
        return used

    def stop(self) -> None:
        self.client.__exit__(None, None, None)
        for worker in self._workers:
            worker.stop()
        self.stack.stop()


def grown(before, after):
    return {name: after[name] - before.get(name, 0) for name in after if after[name] > before.get(name, 0)}


def photographs(folder: Path) -> tuple[Path, Path]:
    import skimage.data  # noqa: PLC0415 - half a second that only this needs

    cat = Image.fromarray(skimage.data.chelsea())
    tiny, usual = folder / "tiny.png", folder / "usual.jpg"
    cat.crop((100, 50, 228, 178)).save(tiny)
    cat.resize((640, 426)).save(usual, quality=92)
    return tiny, usual


def submit_and_wait(client: DreamClient, photo: Path, params) -> None:
    job = client.submit(photo, params)
    while not (state := client.get(job.id).state).is_terminal:
        time.sleep(0.02)
    if state is not JobState.SUCCEEDED:
        raise SystemExit(f"a job ended {state}; see its worker's log")


def overhead(fleet: Fleet, photo: Path, jobs: int) -> dict:
    """Times single jobs on a warm worker: from submission to claim, start and first iteration."""
    for _ in range(3):
        submit_and_wait(fleet.client, photo, TINY)
    skip = len(fleet.records("first_iteration_completed"))
    for _ in range(jobs):
        submit_and_wait(fleet.client, photo, TINY)
        time.sleep(0.05)
    waits = {
        "job_claimed": "waited_s",
        "dream_started": "since_submission_s",
        "first_iteration_completed": "since_submission_s",
    }
    return {event: quantiles([r[wait] for r in fleet.records(event)[skip:]]) for event, wait in waits.items()}


def quantiles(values) -> dict:
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return {"p50": round(cuts[49], 4), "p99": round(cuts[98], 4), "jobs": len(values)}


def idle(fleet: Fleet, seconds: float) -> dict:
    before, s3_before = fleet.redis_calls(), fleet.s3_calls()
    time.sleep(seconds)
    after, s3_after = fleet.redis_calls(), fleet.s3_calls()
    return {
        "redis_per_s": round(sum(grown(before, after).values()) / seconds, 1),
        "s3_per_s": round(sum(grown(s3_before, s3_after).values()) / seconds, 2),
    }


def batch(fleet: Fleet, photo: Path, jobs: int) -> dict:
    """Submits all jobs at once. Returns jobs per hour, and the calls of Redis and S3 per job."""
    redis_before, s3_before, used_before = fleet.redis_calls(), fleet.s3_calls(), fleet.processor_s()
    ids = [fleet.client.submit(photo, USUAL).id for _ in range(jobs)]
    begun = time.monotonic()
    left, looks = set(ids), 0
    while left:
        time.sleep(0.5)
        looks += len(left)
        with redis.Redis.from_url(fleet.stack.settings.redis_url, decode_responses=True) as client:
            left -= {i for i in left if JobState(client.hget(f"dream:job:{i}", "state")).is_terminal}
    seconds = time.monotonic() - begun
    used = grown(used_before, fleet.processor_s())
    redis_calls, s3_calls = grown(redis_before, fleet.redis_calls()), grown(s3_before, fleet.s3_calls())
    redis_calls["hget"] = redis_calls.get("hget", 0) - looks  # this program's own
    return {
        "jobs": jobs,
        "seconds": round(seconds, 1),
        "jobs_per_hour": round(jobs / seconds * 3600),
        "seconds_per_job_and_worker": round(seconds / jobs, 2),
        "processor_s_per_job": {name: round(used_s / jobs, 3) for name, used_s in sorted(used.items())},
        "s3_per_job": {name: round(count / jobs, 1) for name, count in sorted(s3_calls.items())},
        "redis_scripts_per_job": round(redis_calls.get("evalsha", 0) / jobs, 1),
        "redis_commands_per_job": round(sum(redis_calls.values()) / jobs, 1),
    }


def measure(workers: int, args) -> dict:
    with tempfile.TemporaryDirectory(prefix="bench-scale-") as folder:
        tiny, usual = photographs(Path(folder))
        fleet = Fleet(Path(folder) / "home", workers)
        try:
            submit_and_wait(fleet.client, usual, USUAL)  # compiles what it compiles once
            # Above the number of cores, others were at work as well, and the times below are theirs too.
            found = {"workers": workers, "load_before": round(os.getloadavg()[0], 1), "idle": idle(fleet, args.idle)}
            if workers == 1:
                found["overhead"] = overhead(fleet, tiny, args.overhead)
            else:
                for _ in range(workers):
                    fleet.client.submit(usual, USUAL)
                while any(not j.state.is_terminal for j in fleet.client.list_jobs().jobs):
                    time.sleep(0.2)
            found["batch"] = batch(fleet, usual, args.jobs * workers)
            return found
        finally:
            fleet.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=20, help="in the batch, per worker")
    parser.add_argument("--overhead", type=int, default=200, help="jobs one after the other")
    parser.add_argument("--idle", type=float, default=20, help="seconds of looking at an idle fleet")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    found = []
    for workers in args.workers:
        if workers > cores:
            say(f"{workers} workers need {workers} cores, and there are {cores}")
            continue
        found.append(measure(workers, args))
        say(json.dumps(found[-1], indent=2))
    if args.json:
        args.json.write_text(json.dumps(found, indent=2) + "\n")
    if len(found) == 2:
        gain = found[1]["batch"]["jobs_per_hour"] / found[0]["batch"]["jobs_per_hour"]
        say(f"\nthe second worker: {gain:.2f} times the jobs per hour of one")


if __name__ == "__main__":
    main()
