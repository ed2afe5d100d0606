import pytest


@pytest.mark.parametrize("path", ["/healthz", "/v1/models", "/v1/jobs/x", "/nothing", "/openapi.json"])
def test_every_response_has_security_headers(http, path):
    headers = http.get(path).headers

    assert headers["X-Content-Type-Options"] == "nosniff"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer"


def test_api_responses_are_not_cached(http):
    assert http.get("/v1/jobs").headers["Cache-Control"] == "no-store"
