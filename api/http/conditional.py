"""Adds ETags to responses, and answers `If-None-Match` with 304."""

from apiflask import APIFlask
from flask import Response, request

# Documents that clients fetch again and again, and that rarely change. Jobs have ETags of their own: `PollCursor`.
ENDPOINTS = {"models.list_models", "models.list_layers", "presets.list_presets", "openapi.spec"}


def install(app: APIFlask) -> None:
    app.after_request(_complete)


def _complete(response: Response) -> Response:
    return make_conditional(response) if request.endpoint in ENDPOINTS and response.status_code == 200 else response


def make_conditional(response: Response) -> Response:
    """Adds an ETag, a hash of the body; makes the response an empty 304 if the client sent it in `If-None-Match`."""
    response.headers["Cache-Control"] = "no-cache"
    response.add_etag()
    response.make_conditional(request)
    return response
