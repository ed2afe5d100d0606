"""Tests `make up`: which services it embeds, and how it restarts components."""

import pytest

from deploy.local import cli
from deploy.local.process import ComponentFailed
from shared import settings


@pytest.fixture(autouse=True)
def fresh_settings(monkeypatch):
    for name in ("DREAM_REDIS_URL", "DREAM_S3_URL", "DREAM_S3_BUCKET"):
        monkeypatch.delenv(name, raising=False)
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


@pytest.mark.parametrize(
    ("named", "embedded"),
    [
        ({}, {"redis", "s3"}),
        ({"DREAM_REDIS_URL": "redis://there"}, {"s3"}),
        ({"DREAM_S3_URL": "http://there"}, {"redis"}),
        ({"DREAM_S3_BUCKET": "on-aws"}, {"redis"}),
        ({"DREAM_REDIS_URL": "redis://there", "DREAM_S3_URL": "http://there"}, set()),
    ],
)
def test_a_redis_or_s3_that_the_environment_names_is_used_instead_of_an_embedded_one(
    monkeypatch, tmp_path, named, embedded
):
    for name, value in named.items():
        monkeypatch.setenv(name, value)

    assert cli.new_stack(tmp_path)._embed == embedded


class MortalStack:
    """A stack whose worker is always dead; restarting it takes no time and may fail."""

    def __init__(self, *, fails=False):
        self.children = {"worker-1": None}
        self.started_at = []
        self._fails = fails

    def dead(self):
        return ["worker-1"]

    def start_component(self, name):
        self.started_at.append(cli.time.now)
        if self._fails:
            raise ComponentFailed("worker-1 ended with exit code 1.")


class FakeTime:
    """A clock that raises KeyboardInterrupt, as Ctrl-C does, after `until` seconds."""

    def __init__(self, until):
        self.now = 0.0
        self._until = until

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        if self.now > self._until:
            raise KeyboardInterrupt


@pytest.mark.parametrize("fails", [False, True])
def test_a_component_that_keeps_crashing_is_restarted_with_growing_delays(monkeypatch, fails):
    monkeypatch.setattr(cli, "time", FakeTime(until=200))
    stack = MortalStack(fails=fails)

    with pytest.raises(KeyboardInterrupt):
        cli._keep_alive(stack)

    pauses = [later - earlier for earlier, later in zip(stack.started_at, stack.started_at[1:], strict=False)]
    assert pauses == sorted(pauses)
    assert pauses[0] <= 1.5
    assert pauses[-1] == cli.MAX_RESTART_DELAY_S
