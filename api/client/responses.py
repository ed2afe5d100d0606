"""Turns responses into records or errors, and decides when a request is sent again."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote

import httpx
from pydantic import BaseModel, ValidationError
from tenacity import (
    RetryCallState,
    retry_if_exception_type,
    retry_if_result,
    stop_after_attempt,
    wait_exponential,
)

from api.schemas.job_view import JobView
from api.schemas.problem import Problem
from shared.clock import Clock
from shared.errors import DreamError
from shared.jobs.file_names import cleaned

MAX_ATTEMPTS = 5
MAX_BACKOFF_S = 30.0
MAX_OUTAGE_S = 60.0  # how long waiting and streaming tolerate an unavailable server
TEMPORARY = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}
EXACT_NAME = re.compile(r"filename\*=utf-8''([^;\s]+)", re.IGNORECASE)  # in a Content-Disposition
PLAIN_NAME = re.compile(r'filename="([^"]*)"', re.IGNORECASE)

Record = TypeVar("Record", bound=BaseModel)


class ServerUnavailable(DreamError):
    """The server is unavailable; try again shortly."""

    code = "server_unavailable"
    retryable = True


class Refused(DreamError):
    """The server refused the request; `problem` says why."""

    code = "refused"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


class JobFailed(DreamError):
    """The job did not succeed; `job` says why."""

    code = "job_failed"

    def __init__(self, job: JobView) -> None:
        super().__init__(job.error.message if job.error else f"The job {job.id} ended as {job.state}.")
        self.job = job


class Outage:
    """Measures for how long the server has been unavailable without interruption."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._began: float | None = None

    def end(self) -> None:
        self._began = None

    def tolerate(self, error: ServerUnavailable) -> None:
        """Returns while the outage is short; raises the error once it has lasted for MAX_OUTAGE_S."""
        now = self._clock.monotonic()
        self._began = now if self._began is None else self._began
        if now - self._began > MAX_OUTAGE_S:
            raise error


def _backoff_s(state: RetryCallState) -> float:
    retry_after = _last_response(state).headers.get("Retry-After", "")
    backoff_s = float(retry_after) if retry_after.isdigit() else wait_exponential()(state)
    return min(backoff_s, MAX_BACKOFF_S)


def _last_response(state: RetryCallState) -> httpx.Response:
    if state.outcome is None:
        raise RuntimeError("A retry needs an outcome; tenacity did not set one.")
    response: httpx.Response = state.outcome.result()
    return response


# How requests are retried after a 429 or 503: after its `Retry-After` or with exponential backoff. The last response is
# returned once MAX_ATTEMPTS are used up.
REQUEST_RETRIES: dict[str, Any] = {
    "retry": retry_if_result(lambda response: response.status_code in TEMPORARY),
    "wait": _backoff_s,
    "stop": stop_after_attempt(MAX_ATTEMPTS),
    "retry_error_callback": _last_response,
}
DOWNLOAD_RETRIES: dict[str, Any] = {
    "retry": retry_if_exception_type(ServerUnavailable),
    "wait": wait_exponential(multiplier=0.5),
    "stop": stop_after_attempt(MAX_ATTEMPTS),
    "reraise": True,
}


@contextmanager
def translated(url: str) -> Iterator[None]:
    """Translates httpx's errors to ServerUnavailable."""
    try:
        yield
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as exc:
        raise ServerUnavailable(f"'{url}' is not a valid address: it has the form http://host:port.") from exc
    except httpx.TimeoutException as exc:
        raise ServerUnavailable(f"The server at {url} did not respond in time.") from exc
    except httpx.TransportError as exc:
        raise ServerUnavailable(
            f"Can't reach the server at {url}: {exc}. Check the address, and that the server runs."
        ) from exc


def name_of(response: httpx.Response, job_id: str) -> str:
    """Returns the file name in the response, made safe; without one, the job's id with the ending of the address."""
    header = response.headers.get("Content-Disposition", "")
    exact, plain = EXACT_NAME.search(header), PLAIN_NAME.search(header)
    name = unquote(exact[1], errors="replace") if exact else plain[1] if plain else ""
    return cleaned(name) or f"{job_id}{PurePosixPath(response.url.path).suffix}"


def read(kind: type[Record], response: httpx.Response) -> Record:
    """Parses the response's record. Raises ServerUnavailable when it is not one."""
    try:
        return kind.model_validate_json(response.content, extra="ignore")  # a newer server may send more fields
    except ValidationError as exc:
        raise ServerUnavailable(f"{response.url} is not a Dreamqueue server that this client understands.") from exc


def refusal(response: httpx.Response) -> DreamError:
    """Returns the error for a response: Refused, or ServerUnavailable for a 503 and for a foreign server's page."""
    try:
        problem = Problem.model_validate_json(response.content)
    except ValidationError:
        url = response.url.copy_with(query=None)
        return ServerUnavailable(f"{url} returned {response.status_code} {response.reason_phrase}.")
    if problem.status == httpx.codes.SERVICE_UNAVAILABLE:
        return ServerUnavailable(problem.detail)
    return Refused(problem)
