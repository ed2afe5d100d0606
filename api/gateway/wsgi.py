"""Calls the WSGI application for an ASGI request: builds its environment, collects or streams its response."""

import asyncio
import io
import sys
import threading
from collections.abc import Awaitable, Callable, Iterable, MutableMapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

Message = MutableMapping[str, Any]
Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Environ = dict[str, Any]
WsgiApp = Callable[[Environ, Callable[..., Any]], Iterable[bytes]]

STREAM_TYPE = b"text/event-stream"
SEND_S = 30.0  # for one piece of a response; a client that reads slower is disconnected


@dataclass(frozen=True)
class Answer:
    """A complete response."""

    status: int
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    async def send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def environ_of(scope: Scope, *, is_proxy: Callable[[str], bool] = lambda _: False) -> Environ:
    """Returns the WSGI environment of a request without a body.

    is_proxy: tells of a peer's address whether its `X-Forwarded-Proto` counts.
    """
    server, client = scope["server"] or ("", 0), scope["client"] or ("", 0)
    path = unquote_to_bytes(scope["raw_path"]).decode("latin-1")
    query = scope["query_string"].decode("latin-1")
    environ: Environ = {
        "REQUEST_METHOD": scope["method"],
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": server[0],
        "SERVER_PORT": str(server[1]),
        "SERVER_PROTOCOL": f"HTTP/{scope['http_version']}",
        "REMOTE_ADDR": client[0],
        "REMOTE_PORT": str(client[1]),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(),
        "wsgi.input_terminated": True,  # it ends by itself, also without a Content-Length
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
    for name, value in scope["headers"]:
        _add_header(environ, name, value.decode("latin-1"))
    if environ.get("HTTP_X_FORWARDED_PROTO") == "https" and is_proxy(client[0]):
        environ["wsgi.url_scheme"] = "https"
    return environ


def _add_header(environ: Environ, name: bytes, value: str) -> None:
    if b"_" in name:  # in an environment it looks like the header with a dash, which a proxy may have checked
        return
    key = name.decode("latin-1").upper().replace("-", "_")
    if key not in {"CONTENT_TYPE", "CONTENT_LENGTH"}:
        key = f"HTTP_{key}"
    if key in environ:
        value = f"{environ[key]}{'; ' if key == 'HTTP_COOKIE' else ','}{value}"
    environ[key] = value


def call(app: WsgiApp, environ: Environ) -> Answer:
    """Returns the application's whole response."""
    started = _Started()
    chunks = app(environ, started)
    try:
        body = b"".join(chunks)
    finally:
        _close(chunks)
    return Answer(started.status, started.headers, body)


class Stream:
    """Runs a request on a thread whose response may be an event stream, which is sent piece by piece."""

    def __init__(self, app: WsgiApp, environ: Environ, send: Send) -> None:
        self._app = app
        self._environ = environ
        self._send = send
        self._loop = asyncio.get_running_loop()
        self._gone = threading.Event()

    def client_has_gone(self) -> None:
        self._gone.set()

    def run(self) -> Answer | None:
        """Returns a complete response, or None once a stream has ended."""
        started = _Started()
        chunks = self._app(self._environ, started)
        try:
            if not started.is_stream:
                return Answer(started.status, started.headers, b"".join(chunks))
            head = {"type": "http.response.start", "status": started.status, "headers": started.headers}
            self._wait(self._send(head))
            for chunk in chunks:
                if self._gone.is_set():
                    return None
                self._wait(self._send({"type": "http.response.body", "body": chunk, "more_body": True}))
            self._wait(self._send({"type": "http.response.body", "body": b""}))
        finally:
            _close(chunks)
        return None

    def _wait(self, sending: Awaitable[None]) -> None:
        asyncio.run_coroutine_threadsafe(asyncio.wait_for(sending, SEND_S), self._loop).result()


class _Started:
    """WSGI's `start_response`: keeps the status and the headers."""

    status = 500
    headers: Sequence[tuple[bytes, bytes]] = ()

    def __call__(self, status: str, headers: Iterable[tuple[str, str]], exc_info: object = None) -> None:
        del exc_info  # the headers are not sent yet, so the last call counts
        self.status = int(status[:3])
        encoded = ((name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers)
        self.headers = [header for header in encoded if header[0] != b"date"]  # the server adds its own

    @property
    def is_stream(self) -> bool:
        return any(name == b"content-type" and value.startswith(STREAM_TYPE) for name, value in self.headers)


def _close(chunks: Iterable[bytes]) -> None:
    close = getattr(chunks, "close", None)
    if close is not None:
        close()
