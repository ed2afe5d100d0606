"""`make up` and `make down` as processes: however the stack ends, no process and no data is left behind or lost."""

import json
import signal
import subprocess
import sys

import psutil
import pytest

from api.client import DreamClient
from deploy.local.process import ROOT
from deploy.local.stack import Stack
from tests.signals import with_default_signals
from tests.waiting import exit_code, wait_until

LOCAL = [sys.executable, "-m", "deploy.local.cli"]
NO_WORKERS = ["--workers", "0"]  # they take seconds to load TensorFlow, and test_dreams.py has them

pytestmark = pytest.mark.usefixtures("redis_and_s3")  # whose programs they start


@pytest.fixture
def home(tmp_path):
    home = tmp_path / "a home"
    yield home
    subprocess.run([*LOCAL, "down", "--home", home], cwd=ROOT, check=True, capture_output=True)


@pytest.fixture
def up(home):
    """Starts `up`, waits until it reports success, and returns its process and those of its components."""
    started = []

    def start():
        process = subprocess.Popen(
            with_default_signals([*LOCAL, "up", "--home", str(home), *NO_WORKERS]),
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        started.append(process)
        assert any("Dreamqueue is up" in line for line in process.stdout)
        components = json.loads((home / "stack.json").read_text())["components"]
        return process, [p for component in components for p in _family(component["pid"])]

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


def _family(pid):
    leader = psutil.Process(pid)
    return [leader, *leader.children(recursive=True)]


def assert_gone(processes):
    wait_until(lambda: not any(map(_is_alive, processes)), what=f"the end of all of {processes}")


def _is_alive(process):
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_down_from_another_terminal_stops_everything(up, home):
    process, family = up()
    assert len(family) >= 6  # redis, s3, gunicorn with two processes, the caretaker

    down = subprocess.run([*LOCAL, "down", "--home", home], cwd=ROOT, capture_output=True, text=True, check=True)

    assert down.stdout == "Stopped redis, s3, api, caretaker.\n"
    assert exit_code(process) == 0
    assert_gone(family)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_sigint_and_sighup_stop_everything(up, number):
    process, family = up()

    process.send_signal(number)

    assert exit_code(process) == 0
    assert_gone(family)


def test_no_process_survives_a_killed_stack_and_the_next_one_starts(up):
    process, family = up()

    process.kill()

    assert_gone(family)
    process, family = up()
    process.terminate()
    assert exit_code(process) == 0


def test_down_stops_components_that_survived_a_killed_stack(up, home):
    process, family = up()
    frozen = [p for p in family if "weed" in p.name()]
    for survivor in frozen:
        survivor.suspend()  # so that it ignores the signal of its parent's death
    process.kill()
    process.wait()

    subprocess.run([*LOCAL, "down", "--home", home], cwd=ROOT, check=True, capture_output=True)

    assert_gone(family)


def test_a_second_up_reports_that_the_stack_is_running(up, home):
    process, _ = up()

    second = subprocess.run([*LOCAL, "up", "--home", home], cwd=ROOT, capture_output=True, text=True, check=False)

    assert second.returncode == 1
    assert "already running" in second.stdout
    assert process.poll() is None


def test_down_without_a_running_stack_reports_it(home):
    down = subprocess.run([*LOCAL, "down", "--home", home], cwd=ROOT, capture_output=True, text=True, check=True)

    assert down.stdout == "Nothing was running.\n"


def test_jobs_and_credentials_survive_a_restart(tmp_path, photograph):
    stack = Stack(tmp_path / "a home", workers=0)
    stack.start()
    with DreamClient(stack.api_url) as client:
        job = client.submit(photograph)
    settings = stack.settings
    stack.stop()

    stack = Stack(tmp_path / "a home", workers=0)
    stack.start()
    try:
        with DreamClient(stack.api_url) as client:
            assert client.get(job.id).state == "queued"
        assert stack.settings.s3_secret_key == settings.s3_secret_key
    finally:
        stack.stop()
