"""The stack's own life, with parts that are plain sleepers."""

import json
import os
import stat
import sys

import psutil
import pytest

from deploy.local import stack as module
from deploy.local.process import Part, PartFailed
from deploy.local.stack import AlreadyRunning, Stack, running_api, shut_down, sweep


def sleeper(name, **part):
    return Part(name=name, argv=[sys.executable, "-c", "import time; time.sleep(60)"], ready=lambda _: True, **part)


@pytest.fixture
def stack(tmp_path, monkeypatch):
    """Its parts sleep instead of serving; the folder's path has a space."""
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


def test_the_record_tells_the_dream_command_where_the_api_is_and_is_private(stack):
    stack.start()

    record = stack.home / "stack.json"
    assert json.loads(record.read_text())["api_url"] == stack.api_url == running_api(stack.home)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600


def test_a_second_stack_on_the_same_folder_is_refused_and_the_first_goes_on(stack):
    stack.start()

    with pytest.raises(AlreadyRunning, match=stack.api_url):
        Stack(stack.home, embed=()).start()

    assert stack.dead() == []


def test_when_one_part_fails_to_start_the_others_are_stopped(stack, monkeypatch):
    broken = Part(name="caretaker", argv=[sys.executable, "-c", "raise SystemExit(1)"], ready=lambda _: False)
    monkeypatch.setattr(module.components, "caretaker", lambda *_: broken)

    with pytest.raises(PartFailed, match="caretaker ended"):
        stack.start()

    assert stack.children == {}
    assert not (stack.home / "stack.json").exists()


def test_what_a_killed_stack_left_behind_is_swept_before_the_next_start(stack):
    stack.start()
    pids = [child.pid for child in stack.children.values()]
    stack._lock.close()  # as the system does when it is killed

    assert set(sweep(stack.home)) == {"api", "caretaker", "worker-0", "worker-1"}
    assert alive(pids) == []


def test_a_part_that_died_can_be_started_again(stack):
    stack.start()
    os.kill(stack.children["api"].pid, 9)
    psutil.wait_procs([psutil.Process(stack.children["api"].pid)], timeout=5)
    assert stack.dead() == ["api"]

    stack.start_part("api")

    assert stack.dead() == []


def test_shutting_down_where_nothing_runs_does_nothing(tmp_path):
    assert shut_down(tmp_path) == []
    assert running_api(tmp_path) is None
