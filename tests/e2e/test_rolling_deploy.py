"""Rolling deploy: two versions as real processes on one Redis and one S3; a job moves between them and back."""

import json
import shutil
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path

import psutil
import pytest

from api.client import DreamClient
from deploy.local import components
from deploy.local.embedded_services import StackState
from deploy.local.process import ROOT, Child, Component
from shared.jobs.job import JobState
from shared.redis.job_store import RedisJobStore
from shared.s3 import object_keys
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from tests.waiting import wait_until

LONG = {"octaves": 2, "iterations": 150, "seed": 7}

# Changes that turn the tree into another version: it writes unknown fields, and omits some of Redis's indexes.
CHANGES = (
    (
        "shared/jobs/job.py",
        "    format: Literal[1] = 1\n",
        "    format: Literal[1] = 1\n    mood: str = 'unheard of'\n",
    ),
    (
        "shared/celery_app.py",
        "send_task(TASK, queue",
        "send_task(TASK, args=('hint',), kwargs={'mood': 'unheard of'}, queue",
    ),
    ("shared/redis/job_hash.py", '        "id": job.id,\n', '        "id": job.id,\n        "mood": "unheard of",\n'),
    ("shared/redis/job_hash.py", '        "fraction": job.progress.fraction,\n', ""),
    ("shared/redis/service_state.py", '{"ttl_s": ttl_s}', '{"ttl_s": ttl_s, "mood": "unheard of"}'),
    ("shared/redis/lua/prelude.lua", "return 'dream:turns:' .. priority", "return 'dream:other:' .. priority"),
)


@pytest.fixture(scope="module")
def other_version(tmp_path_factory) -> Path:
    """A copy of the tree, changed like an earlier or later version."""
    tree = tmp_path_factory.mktemp("other version")
    for package in ("api", "shared", "worker", "deploy"):
        shutil.copytree(ROOT / package, tree / package)
    for name, ours, theirs in CHANGES:
        text = (tree / name).read_text()
        assert text.count(ours) == 1, f"{name} has changed: update CHANGES"
        (tree / name).write_text(text.replace(ours, theirs))
    return tree


@dataclass
class Worker:
    """A worker that can be suspended, to decide which of several claims the next job."""

    child: Child

    def suspend(self) -> None:
        psutil.Process(self.child.pid).suspend()

    def resume(self) -> None:
        psutil.Process(self.child.pid).resume()

    def record(self, event: str, job_id: str) -> dict | None:
        lines = [line for line in self.child.log.read_text().splitlines() if line.startswith("{")]
        found = (r for r in map(json.loads, lines) if (r["event"], r.get("job_id")) == (event, job_id))
        return next(found, None)


@dataclass
class Rollout:
    """APIs of both versions, and workers of theirs, ours and theirs: a rollout and its rollback."""

    settings: Settings
    logs: Path
    other: Path
    running: ExitStack

    def start(self) -> None:
        env = {**components.environment(self.settings), "DREAM_TILE_THREADS": "1"}
        ports = StackState()
        apis = [components.api(ports.port("theirs"), env), components.api(ports.port("ours"), env)]
        workers = components.workers(3, self.settings, env)
        self._run("their caretaker", components.caretaker(env), self.other)
        their_api = self._run("their api", apis[0], self.other)
        our_api = self._run("our api", apis[1], ROOT)
        started = [
            self._run(f"worker {n}", part, tree)
            for n, (part, tree) in enumerate(zip(workers, (self.other, ROOT, self.other), strict=True))
        ]
        for child in (their_api, our_api, *started):
            child.wait_until_ready()
        self.workers = [Worker(child) for child in started]
        self.theirs, self.ours = (
            self.running.enter_context(DreamClient(f"http://127.0.0.1:{ports.ports[name]}"))
            for name in ("theirs", "ours")
        )

    def _run(self, name: str, part: Component, tree: Path) -> Child:
        child = Child(replace(part, cwd=tree), self.logs / f"{name}.log")
        self.running.callback(child.kill)
        return child


@pytest.fixture
def rollout(settings, other_version, tmp_path):
    with ExitStack() as running:
        rollout = Rollout(settings, tmp_path, other_version, running)
        rollout.start()
        yield rollout


def test_a_job_moves_between_versions_and_gives_the_same_pixels(rollout, photograph, settings, tmp_path):
    first, second, third = rollout.workers
    second.suspend()
    third.suspend()

    # given a job that the other version has accepted and started
    job = rollout.theirs.submit(photograph, LONG)
    wait_until(lambda: rollout.ours.get(job.id).progress.fraction > 0.1)

    # when its worker is stopped, this version's worker resumes it, and is stopped as well
    second.resume()
    first.child.stop()
    wait_until(lambda: second.record("first_iteration_completed", job.id))
    waiting = [api.submit(photograph, LONG | {"iterations": 2}) for api in (rollout.theirs, rollout.ours)]
    third.resume()
    second.child.stop()

    # then the other version finishes it, and no queued job is lost
    ended = rollout.theirs.wait(job.id)
    assert (ended.state, ended.attempt) == (JobState.SUCCEEDED, 3)
    resumed = [worker.record("dream_started", job.id)["resumed_from"] is not None for worker in rollout.workers]
    assert resumed == [False, True, True]
    for small in waiting:
        assert rollout.ours.wait(small.id).state is JobState.SUCCEEDED
    with closing(RedisJobStore.connect(settings).redis) as redis:
        assert redis.hget(f"dream:job:{job.id}", "mood")  # written by the other version
        assert redis.hget(f"dream:job:{job.id}", "deaths") == "0"
    assert b"unheard of" in S3ObjectStorage.connect(settings).get(object_keys.manifest(job.id))

    # and the result is the same as that of an uninterrupted job
    uninterrupted = rollout.ours.wait(rollout.ours.submit(photograph, LONG).id)
    for name in (job.id, uninterrupted.id):
        rollout.ours.download(name, tmp_path / name)
    assert (tmp_path / job.id).read_bytes() == (tmp_path / uninterrupted.id).read_bytes()
