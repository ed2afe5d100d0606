import pytest


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/v1/jobs/x", "/nothing", "/openapi.json"])
def test_every_answer_tells_browsers_what_to_refuse(http, path):
    headers = http.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_what_is_somebodys_is_in_no_cache(http):
    assert http.get("/v1/models").headers["Cache-Control"] == "no-store"
