"""What operators are told: numbers by route and state, one log record per request, and no secret."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.job_factory import a_job


def scraped(http):
    text = http.get("/metrics").get_data(as_text=True)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def logged(caplog):
    caplog.set_level("INFO", "api.http.request_metrics")
    return caplog


def test_jobs_are_counted_by_kind_and_state_with_zeros_for_what_scaling_asks(http, world):
    world.store.create(a_job())

    found = scraped(http)

    assert found["dream_jobs", ("kind", "dream"), ("state", "queued")] == 1
    assert found["dream_jobs", ("kind", "dream"), ("state", "running")] == 0
    assert found["dream_jobs_unserved", ("model", "efficientnet-lite0")] == 1
    assert found["dream_redis_up",] == 1


def test_without_redis_the_page_still_answers_and_says_so(http, world):
    world.store.available = False

    found = scraped(http)

    assert found["dream_redis_up",] == 0
    assert not any(name == "dream_jobs" for name, *_ in found)


def test_nobody_gets_the_numbers_through_a_reverse_proxy(http):
    assert http.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 404


def test_requests_are_counted_by_rule_and_never_by_path(http):
    label = (("method", "GET"), ("route", "/v1/jobs/<job_id>"), ("status", "404"))
    before = scraped(http).get(("dream_http_requests_total", *label), 0)

    http.get("/v1/jobs/01KB0000000000000000000000")
    http.get("/made-up-by-a-scanner")

    found = scraped(http)
    assert found["dream_http_requests_total", *label] == before + 1
    assert not any("01KB" in str(key) or "scanner" in str(key) for key in found)


def test_a_request_is_one_record_with_the_job_and_without_its_query(http, logged):
    http.get("/v1/jobs/01KB0000000000000000000000?token=hush", headers={"Authorization": "Bearer hush"})

    (record,) = logged.records
    assert record.job_id == "01KB0000000000000000000000"
    assert (record.status, record.route) == (404, "/v1/jobs/<job_id>")
    assert "hush" not in str(vars(record))


def test_polls_are_not_logged_while_they_pass(http, submit, logged):
    job = submit().get_json()
    logged.clear()

    assert http.get(f"/v1/jobs/{job['id']}").status_code == 200

    assert logged.records == []


def test_probes_are_not_logged_while_they_pass(http, logged):
    http.get("/healthz")
    http.get("/metrics")

    assert logged.records == []
