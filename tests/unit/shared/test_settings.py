"""Tests the settings, and the messages for invalid environment variables."""

import subprocess
import sys

import pytest

from shared import settings
from shared.errors import InvalidSettings
from shared.settings import EX_CONFIG, Settings
from tests.waiting import patience_s


@pytest.fixture(autouse=True)
def fresh():
    settings.load.cache_clear()
    yield
    settings.load.cache_clear()


def test_each_wrong_variable_is_named_with_what_is_wrong(monkeypatch):
    monkeypatch.setenv("DREAM_LEASE_S", "0")
    monkeypatch.setenv("DREAM_STORAGE_FULL", "explode")

    with pytest.raises(InvalidSettings, match=r"DREAM_STORAGE_FULL: .*'wait' or 'fail'.*DREAM_LEASE_S: .*equal to 1"):
        settings.load()


def test_a_wrong_secret_is_not_repeated(monkeypatch):
    monkeypatch.setenv("DREAM_S3_SECRET_KEY", "hush")
    monkeypatch.setenv("DREAM_S3_TIMEOUT_S", "soon")

    with pytest.raises(InvalidSettings) as refused:
        settings.load()

    assert "hush" not in str(refused.value)


@pytest.mark.parametrize(
    ("variable", "scheme"),
    [("DREAM_REDIS_URL", "rediss://"), ("DREAM_S3_URL", "https://"), ("DREAM_S3_PUBLIC_URL", "https://")],
)
def test_an_address_says_how_to_talk_to_it_and_is_not_repeated(monkeypatch, variable, scheme):
    monkeypatch.setenv(variable, ":hush@elsewhere:1234")

    with pytest.raises(InvalidSettings, match=f"{variable}: .*{scheme}") as refused:
        settings.load()

    assert "hush" not in str(refused.value)


def test_models_are_separated_by_commas(monkeypatch):
    monkeypatch.setenv("DREAM_MODELS", "efficientnet-lite0, inception5h")

    assert settings.load().models == ("efficientnet-lite0", "inception5h")


def test_a_misspelt_variable_is_found_with_the_one_that_was_meant(monkeypatch):
    monkeypatch.setenv("DREAM_REDIS_ULR", "redis://elsewhere")

    assert settings.misspelled() == {"DREAM_REDIS_ULR": "DREAM_REDIS_URL"}


def test_secrets_stay_hidden_where_settings_are_printed():
    assert "hush" not in repr(Settings(s3_secret_key="hush"))


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["worker.recovery.caretaker"],
        ["celery", "-A", "worker.app", "worker"],
        ["gunicorn", "-c", "deploy/gunicorn.conf.py", "-b", "127.0.0.1:0", "api.app:create_app()"],
        ["worker.cli.main", "doctor"],
    ],
    ids=lambda command: command[0],
)
def test_every_process_stops_with_a_sentence_and_not_a_traceback(command):
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        env={"PATH": "", "DREAM_LEASE_S": "long"},
        check=False,
        capture_output=True,
        text=True,
        timeout=patience_s(),
    )

    assert ended.returncode == EX_CONFIG
    assert "DREAM_LEASE_S" in ended.stderr
    assert "Traceback" not in ended.stderr
