"""From what a server answers, or doesn't, to a record or an error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

import httpx
from pydantic import BaseModel, ValidationError

from api.schemas.problem import Problem
from shared.errors import DreamError

PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # before a refused request is sent again, unless the server says how long

Answer = TypeVar("Answer", bound=BaseModel)


class ServerAway(DreamError):
    """The server can't be reached or is not ready; try again shortly."""

    code = "server_away"
    retryable = True


class Refused(DreamError):
    """The server refused the request; `problem` says why."""

    code = "refused"

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.detail)
        self.problem = problem


@contextmanager
def translated(url: str) -> Iterator[None]:
    try:
        yield
    except httpx.InvalidURL as exc:
        raise ServerAway(f"'{url}' is not an address.") from exc
    except httpx.TimeoutException as exc:
        raise ServerAway(f"The server at {url} did not answer in time.") from exc
    except httpx.TransportError as exc:
        raise ServerAway(f"There is no server at {url}: {exc}.") from exc


def pause_s(answer: httpx.Response, attempt: int) -> float:
    told = answer.headers.get("Retry-After", "")
    wait_s = float(told) if told.isdigit() else PAUSE_S * 2**attempt
    return min(wait_s, LONGEST_PAUSE_S)


def read(kind: type[Answer], answer: httpx.Response) -> Answer:
    try:
        return kind.model_validate_json(answer.content, extra="ignore")  # a newer server's records may have more fields
    except ValidationError as exc:
        raise ServerAway(f"What answers at {answer.url} is no Dreamqueue that this client understands.") from exc


def refusal(answer: httpx.Response) -> DreamError:
    try:
        problem = Problem.model_validate_json(answer.content)
    except ValidationError:
        return ServerAway(f"{answer.url.copy_with(query=None)} answered {answer.status_code} {answer.reason_phrase}.")
    if problem.status == httpx.codes.SERVICE_UNAVAILABLE:
        return ServerAway(problem.detail)
    return Refused(problem)
