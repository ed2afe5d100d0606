"""Bodies that the server can't read, and refusals that never reach the application."""

import json

import pytest

from api.http import refusals


class Broken:
    """The input of a server whose client sends a malformed chunk."""

    def read(self, size=-1):
        raise RuntimeError("Invalid chunk size: b'zz--BB'")


@pytest.mark.parametrize(
    ("route", "content_type"),
    [
        ("/v1/jobs", "multipart/form-data; boundary=BB"),
        ("/v1/jobs", "application/json"),
        ("/v1/uploads", "application/json"),
    ],
)
def test_a_body_that_the_server_can_not_read_is_the_clients_fault(http, route, content_type):
    answer = http.post(
        route,
        content_type=content_type,
        environ_overrides={"wsgi.input": Broken(), "wsgi.input_terminated": True},
    )

    assert (answer.status_code, answer.json["code"]) == (400, "bad_request")
    assert "Invalid chunk size" in answer.json["detail"]


@pytest.mark.parametrize(
    ("status", "reason", "why", "code", "detail"),
    [
        (414, "URI Too Long", "9000 > 4094", "uri_too_long", "longer"),
        (431, "Request Header Fields Too Large", "", "headers_too_large", "headers"),
        (400, "Bad Request", "invalid chunk size: 'zz'", "bad_request", "Invalid chunk size: 'zz'."),
        (501, "Not Implemented", "", "internal_error", "Not Implemented."),
    ],
)
def test_a_refusal_of_the_servers_own_is_a_whole_answer(status, reason, why, code, detail):
    head, body = refusals.response(status, reason, why).split(b"\r\n\r\n")

    assert head.startswith(f"HTTP/1.1 {status} {reason}\r\n".encode())
    assert f"Content-Length: {len(body)}".encode() in head
    problem = json.loads(body)
    assert (problem["status"], problem["title"], problem["code"]) == (status, reason, code)
    assert detail in problem["detail"]
