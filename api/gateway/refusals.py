"""What is refused before the application hears of it, as `application/problem+json` like all refusals."""

from collections.abc import Sequence
from http import HTTPStatus

from api.gateway.wsgi import Answer
from api.schemas.problem import Problem

REFUSALS = {
    HTTPStatus.BAD_REQUEST: ("bad_request", "The request is not valid HTTP."),
    HTTPStatus.REQUEST_TIMEOUT: ("request_timeout", "The request came too slowly; the connection was closed."),
    HTTPStatus.REQUEST_URI_TOO_LONG: ("uri_too_long", "The address is longer than this server accepts."),
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: (
        "headers_too_large",
        "The request's headers are larger than this server accepts.",
    ),
    HTTPStatus.SERVICE_UNAVAILABLE: ("overloaded", "Too many requests are waiting; try again shortly."),
}


def answer(status: HTTPStatus, *, headers: Sequence[tuple[bytes, bytes]] = (), detail: str | None = None) -> Answer:
    """Returns the response; the connection ends with it.   detail: a sentence, if there is a better one."""
    code, sentence = REFUSALS[status]
    problem = Problem(
        type=f"urn:dreamqueue:problem:{code}",
        title=status.phrase,
        status=status,
        detail=detail or sentence,
        code=code,
    )
    body = problem.model_dump_json(exclude_defaults=True).encode()
    fixed = [
        (b"content-type", b"application/problem+json"),
        (b"content-length", str(len(body)).encode()),
        (b"connection", b"close"),
    ]
    return Answer(status, [*fixed, *headers], body)


def as_http(refusal: Answer) -> bytes:
    """Returns the bytes of the whole HTTP response."""
    status = HTTPStatus(refusal.status)
    lines = [f"HTTP/1.1 {status.value} {status.phrase}".encode(), *(b": ".join(header) for header in refusal.headers)]
    return b"\r\n".join(lines) + b"\r\n\r\n" + refusal.body
