"""Formats the HTTP server's own refusals as `application/problem+json`, like all others."""

from api.schemas.problem import Problem

CODES = {400: "bad_request", 403: "forbidden", 414: "uri_too_long", 417: "expectation_failed", 431: "headers_too_large"}
SENTENCES = {
    414: "The address is longer than this server accepts.",
    431: "The request's headers are larger than this server accepts.",
}


def response(status: int, reason: str, why: str) -> bytes:
    """Returns the whole HTTP response; the connection ends with it.   why: the server's own words."""
    code = CODES.get(status, "internal_error" if status >= 500 else "bad_request")
    text = why.strip(" .") or reason
    detail = SENTENCES.get(status, f"{text[:1].upper()}{text[1:]}.")
    problem = Problem(
        type=f"urn:dreamqueue:problem:{code}", title=reason, status=status, detail=detail[:500], code=code
    )
    body = problem.model_dump_json(exclude_defaults=True).encode()
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode("latin-1") + body
