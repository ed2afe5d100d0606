"""Turns errors of reading a request's body, such as a malformed chunk, into a 400."""

from collections.abc import Callable, Iterator
from typing import IO, Any, TypeVar

from werkzeug.exceptions import BadRequest

T = TypeVar("T")


class CheckedBody:
    """The WSGI input stream. What the server raises while it reads becomes a 400 with the server's words."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream

    def read(self, size: int = -1) -> bytes:
        return _checked(lambda: self._stream.read(size))

    def readline(self, size: int = -1) -> bytes:
        return _checked(lambda: self._stream.readline(size))

    def readlines(self, hint: int = -1) -> list[bytes]:
        return _checked(lambda: self._stream.readlines(hint))

    def __iter__(self) -> Iterator[bytes]:
        return iter(self.readline, b"")


def _checked(read: Callable[[], T]) -> T:
    try:
        return read()
    except OSError:  # the connection broke, which Werkzeug knows how to tell
        raise
    except Exception as exc:  # each server has its own errors for this
        raise BadRequest(f"The request's body can't be read: {str(exc).strip(' .')}.") from exc


def check_bodies(app: Callable[..., T]) -> Callable[..., T]:
    """Returns the WSGI application, with its request bodies read so."""

    def call(environ: dict[str, Any], start_response: object) -> T:
        environ["wsgi.input"] = CheckedBody(environ["wsgi.input"])
        return app(environ, start_response)

    return call
