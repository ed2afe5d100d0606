"""Celery's parent process, with the product's settings, on a Redis that refuses writes for a while."""

import sys

import pytest
import redis

from deploy.local.process import ROOT, Child, Component
from shared.celery_app import CeleryNotifier
from shared.settings import Settings
from tests.fakes.redis_server import REFUSALS, RefusingRedis
from tests.waiting import wait_until

OPTIONS = (
    *("--loglevel=INFO", "--pool=prefork", "--concurrency=1"),
    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
)


@pytest.fixture
def server(tmp_path):
    running = RefusingRedis(tmp_path / "parent")
    yield running
    running.stop()


@pytest.fixture
def worker(server, tmp_path):
    part = Component(
        name="worker",
        argv=[sys.executable, "-m", "celery", "-A", "tests.fakes.celery_worker", "worker", *OPTIONS],
        env={"DREAM_REDIS_URL": server.url, "RUNS": str(tmp_path / "runs")},
        cwd=ROOT,
        ready=lambda _: "ready." in (tmp_path / "worker.log").read_text(),
    )
    child = Child(part, tmp_path / "worker.log")
    child.wait_until_ready()
    yield child
    child.kill()


@pytest.mark.parametrize("how", REFUSALS)
def test_the_parent_survives_and_runs_what_is_sent_afterwards(server, worker, tmp_path, how):
    # given a worker that has seen its broker refuse, and one message that waits
    notifier = CeleryNotifier.connect(Settings(redis_url=server.url))
    runs = tmp_path / "runs"
    notifier.notify_workers()
    wait_until(runs.exists, what="the first task")
    with server.refusing(how):
        wait_until(lambda: _has_called(server) > 20, what="calls of the worker")

    # when
    notifier.notify_workers()

    # then
    wait_until(lambda: runs.read_text() == "run\nrun\n", what="the second task")
    log = (tmp_path / "worker.log").read_text()
    assert "Unrecoverable" not in log
    assert log.count(" ready.") == 1


def _has_called(server: RefusingRedis) -> int:
    """Counts the commands since the refusal began."""
    try:
        return int(server.admin.info("stats")["total_commands_processed"]) - server.calls_at_refusal
    except redis.RedisError:
        return 0
