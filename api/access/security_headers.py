"""What every answer tells browsers to refuse. A route's own header wins."""

from apiflask import APIFlask
from flask import Response, request

ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}
OWN = frozenset(ALWAYS)
A_YEAR_S = 365 * 86400


def install(app: APIFlask) -> None:
    app.after_request(_harden)


def _harden(response: Response) -> Response:
    if OWN.isdisjoint(name for name, _ in response.headers):
        response.headers.extend(ALWAYS)  # most answers bring none of their own, and looking for each takes its time
    else:
        for name, value in ALWAYS.items():
            response.headers.setdefault(name, value)
    if request.path.startswith("/v1/"):
        response.headers.setdefault("Cache-Control", "no-store")  # other people's pictures don't belong in a cache
    if request.is_secure:
        response.headers.setdefault("Strict-Transport-Security", f"max-age={A_YEAR_S}")
    return response
