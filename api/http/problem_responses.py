"""Turns errors into `application/problem+json` (RFC 9457). Only this module maps errors to HTTP status codes."""

import difflib
import math
import re
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import structlog
from apiflask import APIFlask, HTTPError
from flask import Response, g
from pydantic import ValidationError
from pydantic_core import ErrorDetails
from werkzeug.exceptions import HTTPException

from api.schemas.problem import FieldError, Problem
from api.schemas.requests import JobForm, ListQuery
from shared import errors
from shared.errors import DreamError, InvalidField, LocalDiskError
from shared.params import DreamParams, Target

log = structlog.get_logger(__name__)

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
    errors.TooManyUploads: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.TooManyOpenUploads: HTTPStatus.TOO_MANY_REQUESTS,
    errors.UploadNotFound: HTTPStatus.NOT_FOUND,
    errors.UploadIncomplete: HTTPStatus.CONFLICT,
    errors.PartsUnsupported: HTTPStatus.NOT_IMPLEMENTED,
    errors.StoreUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.StorageFull: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.LocalDiskError: HTTPStatus.SERVICE_UNAVAILABLE,
    errors.SubmissionGivenUp: HTTPStatus.SERVICE_UNAVAILABLE,
}
RETRY_AFTER_S = {
    HTTPStatus.SERVICE_UNAVAILABLE: "5",
    HTTPStatus.CONFLICT: "1",
    HTTPStatus.TOO_MANY_REQUESTS: "30",  # for a full queue; a rate limit sets its own
}

# Errors that the web framework raises: our code, and a message where its own is unclear.
FRAMEWORK: Mapping[int, tuple[str, str | None]] = {
    400: ("bad_request", None),
    404: ("not_found", "There is no such address; `/openapi.json` lists all of them."),
    405: ("method_not_allowed", "This address does not allow that method; the `Allow` header lists those it allows."),
    408: ("request_timeout", None),
    413: ("request_too_large", "The request is larger than this service accepts."),
    415: ("unsupported_media_type", None),
}
MAX_ERRORS, MAX_SUGGESTIONS = 20, 3  # in one response: to find the nearest of all names takes time
KNOWN_FIELDS = sorted(
    {name for model in (JobForm, ListQuery, DreamParams, Target) for name in model.model_fields} | {"image"}
)


def install(app: APIFlask) -> None:
    """Makes every error response of the application a problem document."""
    app.register_error_handler(DreamError, from_dream_error)
    app.register_error_handler(ValidationError, from_validation_error)
    app.register_error_handler(HTTPError, _from_apiflask)
    app.register_error_handler(HTTPException, from_framework)
    app.register_error_handler(OSError, _from_system)
    app.register_error_handler(Exception, _from_bug)


def from_dream_error(error: DreamError) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), None)
    if status is None:
        return _from_bug(error)
    place = {"path": error.path, "suggestion": error.suggestion} if isinstance(error, InvalidField) else {}
    headers = {"Retry-After": RETRY_AFTER_S[status]} if _is_temporary(error) else {}
    if isinstance(error, errors.Unauthorized):
        headers = {"WWW-Authenticate": 'Bearer realm="dreamqueue"'}
        place = {"path": error.path}
    if isinstance(error, errors.TooManyRequests):
        g.usage = error.usage
        headers = {"Retry-After": str(math.ceil(error.usage.resets_s) or 1)}
    return _respond(status, error.code, str(error), headers, **place)


def from_validation_error(error: ValidationError) -> Response:
    """Lists the first invalid fields; the very first one is also the problem's own detail and path."""
    details = error.errors(include_url=False)[:MAX_ERRORS]
    invalid = tuple(_field_error(detail, suggests=index < MAX_SUGGESTIONS) for index, detail in enumerate(details))
    first = invalid[0]
    return _respond(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        InvalidField.code,
        f"{first.path}: {first.detail}" if first.path else first.detail,
        path=first.path or None,
        suggestion=first.suggestion,
        errors=invalid if len(invalid) > 1 else (),
    )


def _from_apiflask(error: HTTPError) -> Response:
    if isinstance(error.__cause__, ValidationError):  # APIFlask's own error lacks the details
        return from_validation_error(error.__cause__)
    code, message = FRAMEWORK.get(error.status_code, ("bad_request", None))
    return _respond(HTTPStatus(error.status_code), code, message or error.message or "")


def from_framework(error: HTTPException) -> Response:
    if error.code is None or error.code < 400:  # a redirect, or a complete response
        response = error.get_response()
        return Response(response.get_data(), response.status, response.headers)
    code, message = FRAMEWORK.get(error.code, ("bad_request", None))
    headers = {name: value for name, value in error.get_headers() if name.lower() == "allow"}
    return _respond(HTTPStatus(error.code), code, message or error.description or error.name, headers)


def _from_system(error: OSError) -> Response:
    """Responds to an OSError: a body that does not fit on this machine's disk, or a bug."""
    if error.errno not in LocalDiskError.errnos:
        return _from_bug(error)
    log.error("local_disk_failed", reason=str(error))
    return from_dream_error(LocalDiskError())


def _from_bug(error: Exception) -> Response:
    log.error("request_failed", error=type(error).__name__, exc_info=error)
    return _respond(
        HTTPStatus.INTERNAL_SERVER_ERROR,
        DreamError.code,
        "Internal error; it has been logged. Accepted jobs are safe. Try again.",
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


def _is_temporary(error: DreamError) -> bool:
    return error.retryable or isinstance(error, errors.NotReady)


def _field_error(detail: ErrorDetails, *, suggests: bool) -> FieldError:
    path = ".".join(map(str, detail["loc"]))
    message = detail["msg"].removeprefix("Value error, ").replace("Input should", "should", 1)
    suggestion = _suggestion(detail) if suggests else None
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
        name = str(detail["loc"][-1])
        return None if name in KNOWN_FIELDS else _nearest(name, KNOWN_FIELDS)  # known, but not in this place
    if detail["type"] in {"literal_error", "enum"}:
        return _nearest(str(detail["input"]), re.findall(r"'([^']*)'", str(context.get("expected", ""))))
    return None


def _nearest(name: str, known: Sequence[str]) -> str | None:
    near = difflib.get_close_matches(name[:100], known, n=1)
    return near[0] if near else None
