"""From an error to `application/problem+json` (RFC 9457). The only place that knows HTTP status codes of errors."""

import difflib
import logging
import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

from apiflask import APIFlask, HTTPError
from flask import Response, g
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from api.schemas.problem import FieldError, Problem
from api.schemas.requests import JobForm, ListQuery
from shared import errors
from shared.errors import DreamError, InvalidField
from shared.params import DreamParams, Target

logger = logging.getLogger(__name__)

STATUS: Mapping[type[DreamError], HTTPStatus] = {
    errors.InvalidField: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.ImageUnreadable: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.UnsupportedImage: HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
    errors.ImageTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    errors.JobNotFound: HTTPStatus.NOT_FOUND,
    errors.ModelNotFound: HTTPStatus.NOT_FOUND,
    errors.WrongState: HTTPStatus.CONFLICT,
    errors.NotReady: HTTPStatus.CONFLICT,
    errors.ResultExpired: HTTPStatus.GONE,
    errors.Unauthorized: HTTPStatus.UNAUTHORIZED,
    errors.Forbidden: HTTPStatus.FORBIDDEN,
    errors.KeyNotFound: HTTPStatus.NOT_FOUND,
    errors.IdempotencyKeyReused: HTTPStatus.UNPROCESSABLE_ENTITY,
    errors.IdempotencyKeyInFlight: HTTPStatus.CONFLICT,
    errors.TooManyRequests: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyQueued: HTTPStatus.TOO_MANY_REQUESTS,
    errors.TooManyStreams: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageFull: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = {
    HTTPStatus.SERVICE_UNAVAILABLE: "5",
    HTTPStatus.CONFLICT: "1",
    HTTPStatus.TOO_MANY_REQUESTS: "30",  # for a queue that is full; a limit on requests says when itself
}

# What the web framework refuses by itself: a code of ours, and a sentence where its own is not clear.
FRAMEWORK: Mapping[int, tuple[str, str | None]] = {
    400: ("bad_request", None),
    404: ("not_found", "There is nothing at this address; `/openapi.json` lists what there is."),
    405: ("method_not_allowed", "This address takes other methods: `Allow` names them."),
    408: ("request_timeout", None),
    413: ("request_too_large", "The request is larger than this service accepts."),
    415: ("unsupported_media_type", None),
}
KNOWN_FIELDS = sorted(
    {name for model in (JobForm, ListQuery, DreamParams, Target) for name in model.model_fields} | {"image"}
)


def install(app: APIFlask) -> None:
    """Every error of this application leaves as a problem."""
    app.register_error_handler(DreamError, from_dream_error)
    app.register_error_handler(ValidationError, from_validation_error)
    app.register_error_handler(HTTPError, _from_apiflask)
    app.register_error_handler(HTTPException, _from_framework)
    app.register_error_handler(Exception, _from_bug)


def from_dream_error(error: DreamError) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if status is None:
        return _from_bug(error)
    place = {"path": error.path, "suggestion": error.suggestion} if isinstance(error, InvalidField) else {}
    headers = {"Retry-After": RETRY_AFTER_S[status]} if _may_pass(error) else {}
    if isinstance(error, errors.Unauthorized):
        headers = {"WWW-Authenticate": 'Bearer realm="dreamqueue"'}
        place = {"path": error.path}
    if isinstance(error, errors.TooManyRequests):
        g.usage = error.usage
        headers = {"Retry-After": str(math.ceil(error.usage.resets_s) or 1)}
    return _respond(status, error.code, str(error), headers, **place)


def from_validation_error(error: ValidationError) -> Response:
    """All mistakes; the first one also stands at the top."""
    mistakes = tuple(_mistake(detail) for detail in error.errors(include_url=False))
    first = mistakes[0]
    return _respond(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        InvalidField.code,
        f"{first.path}: {first.detail}" if first.path else first.detail,
        path=first.path or None,
        suggestion=first.suggestion,
        errors=mistakes if len(mistakes) > 1 else (),
    )


def _from_apiflask(error: HTTPError) -> Response:
    if isinstance(error.__cause__, ValidationError):  # APIFlask's own record of it has lost the details
        return from_validation_error(error.__cause__)
    code, sentence = FRAMEWORK.get(error.status_code, ("bad_request", None))
    return _respond(HTTPStatus(error.status_code), code, sentence or error.message or "")


def _from_framework(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:  # a redirect, or a response that is ready
        response = error.get_response()
        return Response(response.get_data(), response.status, response.headers)
    code, sentence = FRAMEWORK.get(error.code, ("bad_request", None))
    headers = {name: value for name, value in error.get_headers() if name.lower() == "allow"}
    return _respond(HTTPStatus(error.code), code, sentence or error.description or error.name, headers)


def _from_bug(error: Exception) -> Response:
    logger.error("unexpected error", exc_info=error)
    return _respond(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        DreamError.code,
        "Something went wrong on our side; it has been logged. Nothing is lost; try again.",
    )


def _respond(
    status: HTTPStatus,
    code: str,
    detail: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,  # noqa: ANN401
) -> Response:
    problem = Problem(
        type=f"urn:dreamqueue:problem:{code}", title=status.phrase, status=status, detail=detail, code=code, **more
    )
    return Response(
        problem.model_dump_json(exclude_defaults=True), status, headers, mimetype="application/problem+json"
    )


def _may_pass(error: DreamError) -> bool:
    return error.retryable or isinstance(error, errors.NotReady)


def _mistake(detail: ErrorDetails) -> FieldError:
    path = ".".join(map(str, detail["loc"]))
    message = detail["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    suggestion = _suggestion(detail)
    if detail["type"] == "extra_forbidden":
        near = f"; did you mean '{suggestion}'?" if suggestion else ""
        message = f"unknown field '{str(detail['loc'][-1])[:100]}'{near}"
    return FieldError(path=path[:200], detail=message, suggestion=suggestion)


def _suggestion(detail: ErrorDetails) -> str | None:
    context = detail.get("ctx", {})
    for bound in ("le", "ge"):
        if bound in context:
            return str(context[bound])
    if detail["type"] == "extra_forbidden":
        return _nearest(str(detail["loc"][-1]), KNOWN_FIELDS)
    if detail["type"] in {"literal_error", "enum"}:
        return _nearest(str(detail["input"]), re.findall(r"'([^']*)'", str(context.get("expected", ""))))
    return None


def _nearest(name: str, known: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(name[:100], known, n=1)
    return near[0] if near else None
