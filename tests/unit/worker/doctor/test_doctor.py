"""What the doctor finds, on a real Redis and S3 and on what they could be like, and how it tells."""

import io
import json

import httpx
import pytest
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner

from shared import settings as settings_module
from shared.settings import Settings
from worker import worker_cli
from worker.doctor import diagnosis, machine_checks, redis_checks, storage_checks
from worker.doctor.finding import bad, good

FIT = {
    "redis_version": "7.4.1", "maxmemory_policy": "noeviction", "aof_enabled": 1, "role": "master",
    "redis_mode": "standalone", "maxmemory": 0, "used_memory": 1,
}  # fmt: skip


def states(findings):
    return {finding.check: finding.state for finding in findings}


def test_real_services_are_found_fit(settings):
    found = states([*redis_checks.look(settings), *storage_checks.look(settings)])

    assert "bad" not in found.values()
    assert found["redis append-only"] == found["redis clock"] == "good"
    assert found["s3 conditional writes"] == found["s3 clock"] == "good"
    assert found["s3 presigned download"] == found["s3 presigned upload"] == "good"
    assert found["caretaker"] == "doubtful"


@pytest.mark.parametrize(
    ("what", "check", "state"),
    [
        ({"redis_version": "6.0.16"}, "redis version", "bad"),
        ({"maxmemory_policy": "allkeys-lru"}, "redis eviction", "bad"),
        ({"aof_enabled": 0}, "redis append-only", "doubtful"),
        ({"aof_last_write_status": "err"}, "redis append-only", "bad"),
        ({"redis_mode": "cluster"}, "redis mode", "bad"),
        ({"role": "slave"}, "redis role", "bad"),
        ({"maxmemory": 100, "used_memory": 90}, "redis memory", "doubtful"),
    ],
)
def test_an_unfit_redis_is_told_with_what_to_do(what, check, state):
    findings = list(redis_checks.judge(FIT | what, "here"))

    (found,) = [finding for finding in findings if finding.check == check and finding.state != "good"]
    assert found.state == state
    assert found.advice


def test_services_that_are_away_are_named_with_their_variables(settings):
    away = settings.model_copy(update={"redis_url": "redis://:hush@127.0.0.1:1/0", "s3_url": "http://127.0.0.1:1"})

    findings = [*redis_checks.look(away), *storage_checks.look(away)]

    assert states(findings) == {"redis": "bad", "s3": "bad"}
    assert "DREAM_REDIS_URL" in findings[0].advice
    assert "DREAM_S3_URL" in findings[1].advice
    assert "hush" not in str(findings)


def test_wrong_credentials_are_told_apart_from_an_outage(settings):
    strangers = {"s3_access_key": SecretStr("nobody"), "s3_secret_key": SecretStr("knows")}
    stranger = settings.model_copy(update={"redis_url": settings.redis_url.replace("//:", "//:x"), **strangers})

    findings = [*redis_checks.look(stranger), *storage_checks.look(stranger)]

    assert states(findings) == {"redis": "bad", "s3 clock": "good", "s3": "bad"}
    assert "refuses the password" in findings[0].found
    assert "DREAM_S3_SECRET_KEY" in findings[-1].advice
    assert "PutObject" in findings[-1].advice


def test_a_store_that_overwrites_what_should_be_absent_is_refused(settings, monkeypatch):
    put = storage_checks.S3ObjectStorage.put
    monkeypatch.setattr(storage_checks.S3ObjectStorage, "put", lambda storage, key, body, **_: put(storage, key, body))

    found = {finding.check: finding for finding in storage_checks.look(settings)}

    assert "ignores If-None-Match" in found["s3"].found
    assert "another store" in found["s3"].advice


def test_a_public_address_that_does_not_lead_to_the_store_is_found(settings):
    elsewhere = settings.model_copy(update={"s3_public_url": "http://127.0.0.1:1"})

    found = {finding.check: finding for finding in storage_checks.look(elsewhere)}

    assert found["s3 presigned download"].state == "doubtful"
    assert "DREAM_S3_PUBLIC_URL" in found["s3 presigned download"].advice


@pytest.mark.parametrize(("skew_s", "state"), [(5, "good"), (300, "doubtful"), (1200, "bad")])
def test_a_clock_that_is_off_is_found(settings, monkeypatch, skew_s, state):
    real = storage_checks.time.time
    monkeypatch.setattr(storage_checks.time, "time", lambda: real() + skew_s)
    monkeypatch.setattr(storage_checks.S3ObjectStorage, "connect", lambda _: pytest.fail("not asked"))

    (found,) = storage_checks._clock(settings)

    assert found.state == state


def test_the_clock_of_a_store_without_a_date_is_left_alone(settings, monkeypatch):
    monkeypatch.setattr(storage_checks.httpx, "head", lambda *_, **__: httpx.Response(200))

    assert list(storage_checks._clock(settings)) == []


def test_a_misspelt_variable_is_found(monkeypatch):
    monkeypatch.setenv("DREAM_S3_BUKET", "x")

    (found,) = machine_checks.settings_known()

    assert (found.state, found.advice) == ("doubtful", "Did you mean DREAM_S3_BUCKET?")


def test_a_full_disk_is_found_before_a_dream_needs_it(monkeypatch, tmp_path):
    free = type("RateLimitUsage", (), {"free": 2**30})
    monkeypatch.setattr(machine_checks.shutil, "disk_usage", lambda _: free)

    found = states(machine_checks.disk(Settings(model_dir=tmp_path)))

    assert found["disk"] == "doubtful"


@pytest.fixture
def doctor(monkeypatch):
    """Runs the command with these findings."""
    settings_module.load.cache_clear()

    def run(*findings, options=()):
        monkeypatch.setattr(diagnosis, "examine", lambda _: iter(findings))
        return CliRunner().invoke(worker_cli.app, ["doctor", *options])

    return run


def test_the_exit_code_is_1_only_when_something_is_bad(doctor):
    assert doctor(good("a", "Fine.")).exit_code == 0
    assert doctor(good("a", "Fine."), bad("b", "Broken.", "Mend it.")).exit_code == 1


def test_programs_get_json(doctor):
    said = json.loads(doctor(bad("b", "Broken.", "Mend it."), options=["--json"]).stdout)

    assert said == {
        "fit": False,
        "findings": [{"check": "b", "state": "bad", "found": "Broken.", "advice": "Mend it."}],
    }


def test_people_get_sentences_and_what_to_do():
    page = io.StringIO()

    diagnosis.tell(iter([good("a", "Fine."), bad("b", "Broken.", "Mend it.")]), Console(file=page, width=120))

    assert "Broken." in page.getvalue()
    assert "-> Mend it." in page.getvalue()
    assert "1 to mend, 0 to look at, 1 good" in page.getvalue()
