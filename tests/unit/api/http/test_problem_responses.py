import pytest

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
def test_what_the_framework_refuses_is_a_problem_too(http, method, path, status, code):
    answer = getattr(http, method)(path)

    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert answer.content_type == "application/problem+json"


def test_a_method_not_allowed_names_the_allowed_ones(http):
    assert "POST" in http.put("/v1/jobs").headers["Allow"]


def test_a_bug_is_a_500_that_gives_nothing_away(http, world, caplog):
    # given
    def explode(_):
        raise RuntimeError("secret detail")

    world.store.get = explode

    # when
    answer = http.get("/v1/jobs/x")

    # then
    assert (answer.status_code, answer.json["code"]) == (500, "internal_error")
    assert "secret" not in answer.text
    assert "secret detail" in caplog.text


def test_every_refusal_of_ours_has_a_status_and_its_own_code():
    codes = [kind.code for kind in STATUS]

    assert len(codes) == len(set(codes))
    assert all(issubclass(kind, errors.DreamError) for kind in STATUS)


def test_what_concerns_the_whole_body_names_no_path(http):
    answer = http.post("/v1/jobs", data="{", content_type="application/json")

    assert (answer.status_code, answer.json["code"]) == (422, "invalid_field")
    assert "path" not in answer.json
