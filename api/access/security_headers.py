"""Adds security headers to every response. A header that the route set itself wins."""

from apiflask import APIFlask
from flask import Response, request

DEFAULTS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
NAMES = frozenset(DEFAULTS)
A_YEAR_S = 365 * 86400


def install(app: APIFlask) -> None:
    app.after_request(_add_headers)


def _add_headers(response: Response) -> Response:
    if NAMES.isdisjoint(name for name, _ in response.headers):
        response.headers.extend(DEFAULTS)  # fast path: most responses set none of these, and setdefault scans the list
    else:
        for name, value in DEFAULTS.items():
            response.headers.setdefault(name, value)
    if request.path.startswith("/v1/"):
        response.headers.setdefault("Cache-Control", "no-store")  # responses are private to their owner
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={A_YEAR_S}")
    return response
