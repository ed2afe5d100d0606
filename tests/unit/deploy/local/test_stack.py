"""Tests the stack's start and stop, with components that only sleep."""

import json
import os
import stat
import sys

import psutil
import pytest

from deploy.local import stack as module
from deploy.local.process import Component, ComponentFailed
from deploy.local.stack import AlreadyRunning, Stack, running_api_url, stop_leftovers, stop_running_stack
from tests.waiting import wait_until


def sleeper(name, **component):
    return Component(
        name=name, argv=[sys.executable, "-c", "import time; time.sleep(600)"], ready=lambda _: True, **component
    )


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """A stack whose components only sleep; the folder's path contains a space."""
    monkeypatch.setattr(module.components, "api", lambda *_: sleeper("api"))
    monkeypatch.setattr(module.components, "caretaker", lambda *_: sleeper("caretaker"))
    monkeypatch.setattr(module.components, "workers", lambda count, *_: [sleeper(f"worker-{n}") for n in range(count)])
    stack = Stack(tmp_path / "a home", workers=2, embed=())
    yield stack
    stack.stop()


def alive(pids):
    return [pid for pid in pids if psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE]


def test_stopping_leaves_no_process_and_no_record(stack):
    stack.start()
    pids = [child.pid for child in stack.children.values()]
    assert len(alive(pids)) == 4

    stack.stop()

    assert alive(pids) == []
    assert not (stack.home / "stack.json").exists()


def test_stack_json_holds_the_api_address_and_is_readable_by_its_owner_alone(stack):
    stack.start()

    record = stack.home / "stack.json"
    assert json.loads(record.read_text())["api_url"] == stack.api_url == running_api_url(stack.home)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


def test_a_second_stack_in_the_same_folder_is_refused_and_the_first_keeps_running(stack):
    stack.start()

    with pytest.raises(AlreadyRunning, match=stack.api_url):
        Stack(stack.home, embed=()).start()

    assert stack.dead() == []


def test_when_one_component_fails_to_start_the_others_are_stopped(stack, monkeypatch):
    broken = Component(name="caretaker", argv=[sys.executable, "-c", "raise SystemExit(1)"], ready=lambda _: False)
    monkeypatch.setattr(module.components, "caretaker", lambda *_: broken)

    with pytest.raises(ComponentFailed, match="caretaker ended"):
        stack.start()

    assert stack.children == {}
    assert not (stack.home / "stack.json").exists()


def test_leftovers_of_a_killed_stack_are_stopped_before_the_next_start(stack):
    stack.start()
    pids = [child.pid for child in stack.children.values()]
    stack._lock.close()  # as the kernel does when the stack is killed

    assert set(stop_leftovers(stack.home)) == {"api", "caretaker", "worker-0", "worker-1"}
    assert alive(pids) == []


def test_a_component_that_died_can_be_restarted(stack):
    stack.start()
    os.kill(stack.children["api"].pid, 9)
    wait_until(lambda: stack.dead() == ["api"])

    stack.start_component("api")

    assert stack.dead() == []


def test_shutting_down_where_nothing_runs_does_nothing(tmp_path):
    assert stop_running_stack(tmp_path) == []
    assert running_api_url(tmp_path) is None
