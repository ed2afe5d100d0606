"""Tests that workers and caretakers wait for unavailable services and refuse unfit ones."""

import os
import subprocess
import sys

import pytest
import redis

from deploy.local.components import environment
from deploy.local.process import ROOT
from shared.settings import EX_CONFIG
from tests.waiting import exit_code

CARETAKER = [sys.executable, "-m", "worker.recovery.caretaker"]
WORKER = [sys.executable, "-m", "celery", "-A", "worker.app", "worker", "--pool=prefork", "--concurrency=1"]


@pytest.fixture
def start(settings):
    started = []

    def run(command, **changes):
        env = {**os.environ, **environment(settings), **changes}
        process = subprocess.Popen(
            command, cwd=ROOT, env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture
def evicting(settings):
    with redis.Redis.from_url(settings.redis_url) as client:
        client.config_set("maxmemory-policy", "allkeys-lru")
        yield
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize("command", [CARETAKER, WORKER], ids=["caretaker", "worker"])
def test_a_redis_that_evicts_is_refused_with_a_message(start, evicting, command):
    process = start(command)
    assert exit_code(process) == EX_CONFIG
    assert "Set maxmemory-policy to noeviction" in process.stdout.read()


@pytest.mark.parametrize("command", [CARETAKER, WORKER], ids=["caretaker", "worker"])
def test_an_unavailable_redis_is_waited_for(start, command):
    process = start(command, DREAM_REDIS_URL="redis://127.0.0.1:1/0")
    for line in process.stdout:
        if "dependency_unavailable" in line:
            break
    assert "Connection refused" in line
    assert process.poll() is None


def test_a_worker_with_an_invalid_catalog_exits_with_a_message(start, tmp_path):
    catalog = tmp_path / "catalog.toml"
    catalog.write_text("[[model]]\nname = 'mine'\n")
    process = start(WORKER, DREAM_CATALOG=str(catalog))
    assert exit_code(process) == EX_CONFIG
    assert str(catalog) in process.stdout.read()


def test_a_worker_whose_child_fails_while_loading_exits_too(start, tmp_path):
    # given a TensorFlow that can't be imported
    (tmp_path / "tensorflow.py").write_text("raise ImportError('libcudart.so is not there')\n")
    process = start(WORKER, PYTHONPATH=str(tmp_path))
    assert exit_code(process) == os.EX_SOFTWARE
    assert "libcudart.so is not there" in process.stdout.read()


def test_a_caretaker_ends_at_once_when_asked(start):
    process = start(CARETAKER, DREAM_CARETAKER_INTERVAL_S="3600")  # which it does not wait out
    for line in process.stdout:
        if "caretaker_started" in line:
            break
    process.terminate()
    assert exit_code(process) == 0
