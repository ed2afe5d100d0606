"""Tests that components start, fail with their log, and never outlive the stack."""

import os
import signal
import subprocess
import sys

import psutil
import pytest

from deploy.local.process import DIE_WITH_PARENT, Child, Component, ComponentFailed, ProcessRecord
from tests.waiting import wait_until

SLEEPER = "import time; print('hello', flush=True); time.sleep(600)"
DEAF = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); time.sleep(600)"
PARENT = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(600)"
)


@pytest.fixture
def start(tmp_path):
    children = []

    def start_child(code, *, says=None, **component):
        log = tmp_path / "component.log"
        child = Child(
            Component(name="component", argv=[sys.executable, "-c", code], **{"ready": lambda _: True} | component), log
        )
        children.append(child)
        if says is not None:
            wait_until(lambda: says in log.read_text())
        return child

    yield start_child
    for child in children:
        child.kill()


def test_a_component_that_exits_early_fails_with_its_name_exit_code_and_log(tmp_path):
    argv = [sys.executable, "-c", "import sys; print('the port is taken'); sys.exit(3)"]
    child = Child(Component(name="broken", argv=argv, ready=lambda _: False), tmp_path / "broken.log")

    with pytest.raises(ComponentFailed, match=r"(?s)broken ended with exit code 3.*the port is taken"):
        child.wait_until_ready()


def test_a_component_that_is_not_ready_in_time_fails(tmp_path):
    component = Component(name="slow", argv=[sys.executable, "-c", SLEEPER], ready=lambda _: False, start_limit_s=0.2)
    child = Child(component, tmp_path / "slow.log")

    with pytest.raises(ComponentFailed, match=r"slow was not ready within 0\.2 s"):
        child.wait_until_ready()
    child.kill()


def test_a_component_that_takes_longer_on_a_busy_machine_is_waited_for(start, monkeypatch):
    monkeypatch.setattr(os, "getloadavg", lambda: (1000.0 * os.cpu_count(), 0, 0))
    answers = iter([*[False] * 20, True])  # for a second
    child = start(SLEEPER, ready=lambda _: next(answers), start_limit_s=0.2)

    child.wait_until_ready()

    assert child.is_alive


def test_a_program_that_does_not_exist_fails_with_a_sentence(tmp_path):
    child = Child(Component(name="absent", argv=["/nowhere/program"], ready=lambda _: False), tmp_path / "absent.log")

    with pytest.raises(ComponentFailed, match=r"(?s)absent ended.*No such file"):
        child.wait_until_ready()


def test_stopping_sends_sigterm_first(start):
    child = start(
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); time.sleep(600)",
        says="up",
    )

    child.stop()

    assert not child.is_alive


def test_a_component_can_be_asked_to_end_when_its_parent_ignores_such_requests(start):
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        child = start(SLEEPER, says="hello")
    finally:
        signal.signal(signal.SIGTERM, before)

    child.stop()

    assert child._process.returncode == -signal.SIGTERM


def test_stopping_kills_a_component_that_does_not_listen(start):
    child = start(DEAF, says="deaf", stop_limit_s=0.2)

    child.stop()

    assert not child.is_alive


def test_stopping_ends_the_children_of_a_component_that_has_died(start):
    child = start(PARENT, says="\n")
    grandchild = psutil.Process(int(child.log.read_text()))
    os.kill(child.pid, signal.SIGKILL)
    wait_until(lambda: not child.is_alive)
    assert grandchild.is_running()

    child.stop()

    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_component_does_not_outlive_the_process_that_started_it():
    code = (
        f"import subprocess, os, sys, time\n"
        f"leash = [sys.executable, {str(DIE_WITH_PARENT)!r}, str(os.getpid())]\n"
        f"child = subprocess.Popen([*leash, 'sleep', '600'], start_new_session=True)\n"
        f"print(child.pid, flush=True)\n"
        f"time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        component = psutil.Process(int(supervisor.stdout.readline()))
        wait_until(lambda: component.name() == "sleep")

        supervisor.kill()

        wait_until(lambda: not component.is_running() or component.status() == psutil.STATUS_ZOMBIE)


def test_a_recycled_process_id_is_not_ours_to_stop(start):
    child = start(SLEEPER, says="hello")
    stale = ProcessRecord(name="former", pid=child.pid, started=child.record.started - 3600)

    stale.stop()

    assert child.is_alive
    assert stale.group() == []


def test_the_log_of_the_previous_run_is_kept(start, tmp_path):
    start(SLEEPER, says="hello").stop()
    start("print('again', flush=True)", says="again")

    assert (tmp_path / "component.old.log").read_text() == "hello\n"
