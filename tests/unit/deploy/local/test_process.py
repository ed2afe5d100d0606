"""Tests that components start, fail with their log, and never outlive the stack."""

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from deploy.local.process import DIE_WITH_PARENT, Child, Component, ComponentFailed, ProcessRecord

SLEEPER = "import time; print('hello', flush=True); time.sleep(60)"
IGNORES_SIGTERM = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)
PARENT = (
    "import subprocess, sys, time\n"
    "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)'])\n"
    "print(child.pid, flush=True)\n"
    "time.sleep(60)"
)


def eventually(condition, limit_s=10.0):
    deadline = time.monotonic() + limit_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)
    return value


@pytest.fixture
def start(tmp_path):
    children = []

    def start_child(code, *, says=None, **component):
        log = tmp_path / "component.log"
        child = Child(
            Component(name="component", argv=[sys.executable, "-c", code], ready=lambda _: True, **component), log
        )
        children.append(child)
        if says is not None:
            eventually(lambda: says in log.read_text())
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


def test_a_program_that_does_not_exist_fails_with_a_sentence(tmp_path):
    child = Child(Component(name="absent", argv=["/nowhere/program"], ready=lambda _: False), tmp_path / "absent.log")

    with pytest.raises(ComponentFailed, match=r"(?s)absent ended.*No such file"):
        child.wait_until_ready()


def test_stopping_sends_sigterm_first(start):
    child = start(
        "import signal, sys, time; signal.signal(15, lambda *_: sys.exit(0)); print('up', flush=True); time.sleep(60)",
        says="up",
    )

    child.stop()

    assert not child.is_alive


def test_stopping_kills_a_component_that_ignores_sigterm(start):
    child = start(IGNORES_SIGTERM, says="ready", stop_limit_s=0.2)

    child.stop()

    assert not child.is_alive


def test_stopping_ends_the_children_of_a_component_that_has_died(start):
    child = start(PARENT, says="\n")
    grandchild = psutil.Process(int(child.log.read_text()))
    os.kill(child.pid, signal.SIGKILL)
    eventually(lambda: not child.is_alive)
    assert grandchild.is_running()

    child.stop()

    assert not grandchild.is_running() or grandchild.status() == psutil.STATUS_ZOMBIE


def test_a_component_does_not_outlive_the_process_that_started_it():
    code = (
        f"import subprocess, os, sys, time\n"
        f"launcher = [sys.executable, {str(DIE_WITH_PARENT)!r}, str(os.getpid())]\n"
        f"child = subprocess.Popen([*launcher, 'sleep', '60'], start_new_session=True)\n"
        f"print(child.pid, flush=True)\n"
        f"time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as supervisor:
        component = psutil.Process(int(supervisor.stdout.readline()))
        eventually(lambda: component.name() == "sleep")

        supervisor.kill()

        eventually(lambda: not component.is_running() or component.status() == psutil.STATUS_ZOMBIE)


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
