"""Tests the wake-up task against messages of older and newer versions."""

from worker import child, tasks


class Runner:
    def __init__(self):
        self.runs = 0

    def run_next(self):
        self.runs += 1
        return False


def test_unknown_arguments_of_another_version_are_ignored(monkeypatch):
    runner = Runner()
    monkeypatch.setattr(child, "runner", lambda: runner)

    tasks.work("a job id of old times", invented_tomorrow={"a": 1})

    assert runner.runs == 1
