import pytest

from api.http import problem_responses
from api.http.problem_responses import STATUS
from shared import errors


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("get", "/nothing", 404, "not_found"),
        ("get", "/v1/jobs/nonsense", 404, "job_not_found"),
        ("put", "/v1/jobs", 405, "method_not_allowed"),
        ("post", "/v1/jobs", 415, "unsupported_media_type"),
    ],
)
def test_errors_of_the_framework_are_problems(http, method, path, status, code):
    answer = getattr(http, method)(path)

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"


def test_method_not_allowed_lists_the_allowed_ones(http):
    assert "POST" in http.put("/v1/jobs").headers["Allow"]


def test_an_unexpected_error_is_logged_and_its_500_reveals_no_detail(http, world, log_events):
    # given
    def explode(_):
        raise RuntimeError("secret detail")

    world.store.get = explode

    # when
    answer = http.get("/v1/jobs/x")

    # then
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    failed = next(event for event in log_events if event["event"] == "request_failed")
    assert (failed["error"], str(failed["exc_info"])) == ("RuntimeError", "secret detail")


def test_every_mapped_error_has_its_own_code():
    codes = [kind.code for kind in STATUS]

    assert len(codes) == len(set(codes))
    assert all(issubclass(kind, errors.DreamError) for kind in STATUS)


def test_an_error_in_the_whole_body_has_no_path(http):
    answer = http.post("/v1/jobs", data="{", content_type="application/json")

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_field")
    assert "path" not in answer.json


@pytest.mark.parametrize(
    "body",
    [
        "{" + ",".join(f'"itterations{n}": 1' for n in range(9_000)) + "}",
        '{"image": {"upload": "x"}, "params": {"layers": [' + ",".join(["1"] * 60_000) + "]}}",
        '{"image": {"upload": "x"}, "params": {"layers": [{"layer": "a", "channels": ['
        + ",".join(['"a"'] * 45_000)
        + "]}]}}",
        '{"image": ' + "[" * 100_000 + "}",
        '{"webhook_events": [' + ",".join(['"a"'] * 45_000) + "]}",
    ],
)
def test_a_body_with_thousands_of_errors_gets_a_short_answer(http, body, monkeypatch):
    searched = []
    nearest = problem_responses._nearest
    monkeypatch.setattr(problem_responses, "_nearest", lambda *args: searched.append(args) or nearest(*args))

    answer = http.post("/v1/jobs", data=body, content_type="application/json")

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_field")
    assert len(answer.data) < 10_000
    assert len(answer.json.get("errors", ())) <= 20
    assert len(searched) <= 3
