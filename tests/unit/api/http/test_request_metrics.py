"""Metrics by route and state, one log event per request, and no secrets in either."""

from prometheus_client.parser import text_string_to_metric_families

from tests.fakes.job_factory import a_job


def scraped(http):
    text = http.get("/metrics").get_data(as_text=True)
    return {
        (sample.name, *sorted(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_jobs_are_reported_by_kind_and_state_with_zeros_for_absent_ones(http, world):
    world.store.create(a_job())

    found = scraped(http)

    assert found["dream_jobs", ("kind", "dream"), ("state", "queued")] == 1
    assert found["dream_jobs", ("kind", "dream"), ("state", "running")] == 0
    assert found["dream_jobs_unserved", ("model", "efficientnet-lite0")] == 1
    assert found["dream_redis_up",] == 1


def test_metrics_are_served_without_redis_and_report_it_down(http, world):
    world.store.available = False

    found = scraped(http)

    assert found["dream_redis_up",] == 0
    assert not any(name == "dream_jobs" for name, *_ in found)


def test_metrics_are_not_served_through_a_reverse_proxy(http):
    assert http.get("/metrics", headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 404


def test_requests_are_labeled_by_rule_and_never_by_path(http):
    label = (("method", "GET"), ("route", "/v1/jobs/<job_id>"), ("status", "404"))
    before = scraped(http).get(("dream_http_requests_total", *label), 0)

    http.get("/v1/jobs/01KB0000000000000000000000")
    http.get("/made-up-by-a-scanner")

    found = scraped(http)
    assert found["dream_http_requests_total", *label] == before + 1
    assert not any("01KB" in str(key) or "scanner" in str(key) for key in found)


def test_a_request_logs_one_event_with_the_job_and_without_its_query(http, log_events):
    http.get("/v1/jobs/01KB0000000000000000000000?token=hush", headers={"Authorization": "Bearer hush"})

    (event,) = log_events
    assert event["event"] == "request_completed"
    assert event["job_id"] == "01KB0000000000000000000000"
    assert (event["status"], event["route"]) == (404, "/v1/jobs/<job_id>")
    assert "hush" not in str(event)


def test_successful_polls_are_not_logged(http, submit, log_events):
    job = submit().get_json()
    log_events.clear()

    assert http.get(f"/v1/jobs/{job['id']}").status_code == 200

    assert log_events == []


def test_successful_health_checks_are_not_logged(http, log_events):
    http.get("/healthz")
    http.get("/metrics")

    assert log_events == []
