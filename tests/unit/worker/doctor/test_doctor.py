"""Tests the doctor's findings, on a real Redis and S3 and on simulated faults, and its output."""

import io
import json

import httpx
import pytest
from pydantic import SecretStr
from rich.console import Console
from typer.testing import CliRunner

from shared import settings as settings_module
from shared.errors import UnfitService
from shared.settings import Settings
from worker.cli import main as worker_cli
from worker.doctor import diagnosis, machine_checks, redis_checks, storage_checks
from worker.doctor.finding import error, ok
from worker.dream.ascent.tile_speed import TileSpeeds
from worker.tile_measurements import TileMeasurements

FIT = {
    "aof_enabled": 1, "maxmemory": 0, "used_memory": 1,
}  # fmt: skip


def severities(findings):
    return {finding.check: finding.severity for finding in findings}


def test_the_embedded_services_have_no_errors(settings):
    found = severities([*redis_checks.check_redis(settings), *storage_checks.check_storage(settings)])

    assert "error" not in found.values()
    assert found["redis append-only"] == found["redis clock"] == "ok"
    assert found["s3 conditional writes"] == found["s3 clock"] == "ok"
    assert found["s3 presigned download"] == found["s3 presigned upload"] == found["s3 uploads by parts"] == "ok"
    assert found["caretaker"] == "warning"


@pytest.mark.parametrize(
    ("what", "check", "severity"),
    [
        ({"aof_enabled": 0}, "redis append-only", "warning"),
        ({"aof_last_write_status": "err"}, "redis append-only", "error"),
        ({"maxmemory": 100, "used_memory": 90}, "redis memory", "warning"),
    ],
)
def test_what_may_cost_jobs_later_is_reported_with_advice(what, check, severity):
    findings = list(redis_checks.check_info(FIT | what))

    (found,) = [finding for finding in findings if finding.check == check and finding.severity != "ok"]
    assert found.severity == severity
    assert found.advice


def test_unavailable_services_are_reported_with_their_variables(settings):
    unavailable = settings.model_copy(
        update={"redis_url": "redis://:hush@127.0.0.1:1/0", "s3_url": "http://127.0.0.1:1"}
    )

    findings = [*redis_checks.check_redis(unavailable), *storage_checks.check_storage(unavailable)]

    assert severities(findings) == {"redis": "error", "s3": "error"}
    assert "DREAM_REDIS_URL" in findings[0].advice
    assert "DREAM_S3_URL" in findings[1].advice
    assert "hush" not in str(findings)


def test_wrong_credentials_are_distinguished_from_an_outage(settings):
    wrong_keys = {"s3_access_key": SecretStr("nobody"), "s3_secret_key": SecretStr("knows")}
    refused = settings.model_copy(update={"redis_url": settings.redis_url.replace("//:", "//:x"), **wrong_keys})

    findings = [*redis_checks.check_redis(refused), *storage_checks.check_storage(refused)]

    assert severities(findings) == {"redis password": "error", "s3 clock": "ok", "s3": "error"}
    assert "refuses the password" in findings[0].found
    assert "DREAM_S3_SECRET_KEY" in findings[-1].advice
    assert "PutObject" in findings[-1].advice


def test_a_store_without_conditional_writes_is_refused(settings, monkeypatch):
    put = storage_checks.S3ObjectStorage.put
    monkeypatch.setattr(storage_checks.S3ObjectStorage, "put", lambda storage, key, body, **_: put(storage, key, body))

    found = {finding.check: finding for finding in storage_checks.check_storage(settings)}

    assert "ignores If-None-Match" in found["s3"].found
    assert "another store" in found["s3"].advice


def test_a_store_without_uploads_by_parts_is_reported(settings, monkeypatch):
    def lacks(*_):
        raise UnfitService("The object storage does not support CreateMultipartUpload.")

    monkeypatch.setattr(storage_checks.S3ObjectStorage, "begin_parts", lacks)

    found = {finding.check: finding for finding in storage_checks.check_storage(settings)}["s3 uploads by parts"]

    assert (found.severity, found.found) == (
        "warning",
        "The object storage does not support CreateMultipartUpload.",
    )
    assert "DREAM_MAX_UPLOAD_BYTES" in found.advice


def test_a_public_address_that_does_not_reach_the_store_is_reported(settings):
    elsewhere = settings.model_copy(update={"s3_public_url": "http://127.0.0.1:1"})

    found = {finding.check: finding for finding in storage_checks.check_storage(elsewhere)}

    assert found["s3 presigned download"].severity == "warning"
    assert "DREAM_S3_PUBLIC_URL" in found["s3 presigned download"].advice


@pytest.mark.parametrize(("skew_s", "severity"), [(5, "ok"), (300, "warning"), (1200, "error")])
def test_a_wrong_clock_is_reported(settings, monkeypatch, skew_s, severity):
    real = storage_checks.time.time
    monkeypatch.setattr(storage_checks.time, "time", lambda: real() + skew_s)
    monkeypatch.setattr(storage_checks.S3ObjectStorage, "connect", lambda _: pytest.fail("not asked"))

    (found,) = storage_checks._check_clock(settings)

    assert found.severity == severity


def test_a_store_without_a_date_header_has_no_clock_finding(settings, monkeypatch):
    monkeypatch.setattr(storage_checks.httpx, "head", lambda *_, **__: httpx.Response(200))

    assert list(storage_checks._check_clock(settings)) == []


def test_a_misspelled_variable_is_reported(monkeypatch):
    monkeypatch.setenv("DREAM_S3_BUKET", "x")

    (found,) = machine_checks.check_variables()

    assert (found.severity, found.advice) == ("warning", "Did you mean DREAM_S3_BUCKET?")


def test_a_full_disk_is_reported(monkeypatch, tmp_path):
    free = type("RateLimitUsage", (), {"free": 2**30})
    monkeypatch.setattr(machine_checks.shutil, "disk_usage", lambda _: free)

    found = severities(machine_checks.check_disk(Settings(model_dir=tmp_path)))

    assert found["disk"] == "warning"


def test_the_tiles_and_what_they_are_based_on_are_shown(monkeypatch, tmp_path):
    settings = Settings(model_dir=tmp_path, models=("efficientnet-lite0",), memory=8 * 2**30)
    unmeasured = list(machine_checks.check_models(settings))[-1]
    speeds = TileSpeeds({512: 0.3, 896: 0.25, 1536: 0.2}, 2)
    monkeypatch.setattr(TileMeasurements, "known", lambda *_: speeds)
    measured = list(machine_checks.check_models(settings))[-1]

    assert (unmeasured.check, unmeasured.severity) == ("tiles", "ok")
    assert "of 8.0 GiB of memory (not measured on this machine yet" in unmeasured.found
    assert "0.250 at 896 px" in measured.found


@pytest.fixture
def doctor(monkeypatch):
    """Runs the command with the given findings."""
    settings_module.load.cache_clear()

    def run(*findings, options=()):
        monkeypatch.setattr(diagnosis, "examine", lambda _: iter(findings))
        return CliRunner().invoke(worker_cli.app, ["doctor", *options])

    return run


def test_the_exit_code_is_1_only_on_errors(doctor):
    assert doctor(ok("a", "Fine.")).exit_code == 0
    assert doctor(ok("a", "Fine."), error("b", "Broken.", "Fix it.")).exit_code == 1


def test_json_output_for_programs(doctor):
    printed = json.loads(doctor(error("b", "Broken.", "Fix it."), options=["--json"]).stdout)

    assert printed == {
        "ok": False,
        "findings": [{"check": "b", "severity": "error", "found": "Broken.", "advice": "Fix it."}],
    }


def test_text_output_has_findings_and_advice():
    page = io.StringIO()

    diagnosis.print_findings(iter([ok("a", "Fine."), error("b", "Broken.", "Fix it.")]), Console(file=page, width=120))

    assert "Broken." in page.getvalue()
    assert "-> Fix it." in page.getvalue()
    assert "1 errors, 0 warnings, 1 ok" in page.getvalue()
