"""The ASGI application that the HTTP server runs: reads whole requests, and calls the Flask application on threads."""

import asyncio
import ipaddress
import time
from collections.abc import Sequence
from functools import lru_cache, partial
from http import HTTPStatus
from typing import IO, TYPE_CHECKING, cast

from flask import Flask
from werkzeug.exceptions import UnsupportedMediaType

from api.gateway import refusals
from api.gateway.admission import admit
from api.gateway.body import FORM, BodyReader, Unread, longest_body
from api.gateway.threads import Overloaded, Share
from api.gateway.wsgi import Answer, Environ, Receive, Scope, Send, Stream, call, environ_of
from api.http.request_metrics import READY_AT
from api.request_context import EXTENSION

if TYPE_CHECKING:
    from api.wiring import Services

LONGEST_ADDRESS = 8190  # bytes
LONGEST_HEADERS, MOST_HEADERS = 16 * 1024, 100  # bytes, fields
HEALTH, JOBS = "/healthz", "/v1/jobs/"
POLLS, REQUESTS, WAITING = 16, 48, 512  # threads of polls and of other requests, and how many may wait for each
SPARE_STREAMS = 16  # threads that refuse a stream once all are taken


class Gateway:
    """Answers health checks at once, and gives a request a thread when its body is complete."""

    def __init__(self, app: Flask, *, proxies: Sequence[str] = ()) -> None:
        """Prepares the shares of threads.

        proxies: addresses or networks of proxies whose `X-Forwarded-Proto` counts; `*` for all.
        """
        self._app = app
        self._is_proxy = lru_cache(1024)(partial(_is_among, proxies))
        self._services = cast("Services", app.extensions[EXTENSION])
        self._settings = self._services.settings
        self._polls = Share("poll", POLLS, waiting=WAITING)
        self._requests = Share("request", REQUESTS, waiting=WAITING)
        self._streams = Share("stream", self._settings.max_streams + SPARE_STREAMS, waiting=WAITING)
        self._health: Answer | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._live(receive, send)
            return
        answer = await self._answer(scope, receive, send)
        if answer is not None:
            await answer.send(send)

    def end_streams(self) -> None:
        """Ends open event streams, whose readers come back to another process."""
        self._services.subscriptions.close()

    async def _live(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                self._health = await self._requests.run(call, self._app, _health_request())
                await send({"type": "lifespan.startup.complete"})
            else:
                for share in (self._polls, self._requests, self._streams):
                    share.close()
                await send({"type": "lifespan.shutdown.complete"})
                return

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> Answer | None:
        """Returns the response, or None once it is sent."""
        refused = _refused_head(scope)
        if refused is not None:
            return refused
        if scope["path"] == HEALTH and scope["method"] in {"GET", "HEAD"} and self._health is not None:
            return self._health  # never waits for a thread
        environ = environ_of(scope, is_proxy=self._is_proxy)
        try:
            if environ.get("CONTENT_LENGTH", "0") == "0" and "HTTP_TRANSFER_ENCODING" not in environ:
                return await self._run(environ, receive, send)
            return await self._run_with_body(environ, receive, send)
        except Overloaded:
            return refusals.answer(HTTPStatus.SERVICE_UNAVAILABLE, headers=[(b"retry-after", b"1")])

    async def _run_with_body(self, environ: Environ, receive: Receive, send: Send) -> Answer | None:
        owner = await self._requests.run(admit, self._app, environ)
        if isinstance(owner, Answer):
            return owner
        mimetype = environ.get("CONTENT_TYPE", "").partition(";")[0].strip().lower()
        try:
            longest = longest_body(
                environ["REQUEST_METHOD"],
                environ["PATH_INFO"],
                mimetype,
                longest_upload=self._settings.max_upload_bytes,
            )
        except UnsupportedMediaType as exc:
            environ["wsgi.input"] = Unread(exc)
            return await self._run(environ, receive, send)
        reader = BodyReader(
            receive,
            longest=longest,
            budget=self._services.disk,
            owner=owner,
            copies=self._services.disk.form_copies if mimetype == FORM else 1,
        )
        body: IO[bytes] | None = None
        try:
            body = environ["wsgi.input"] = await reader.read(_announced(environ))
            return await self._run(environ, receive, send)
        finally:
            if body is not None:
                body.close()
            reader.close()

    async def _run(self, environ: Environ, receive: Receive, send: Send) -> Answer | None:
        if _may_take_long(environ):
            return await self._run_long(environ, receive, send)
        environ[READY_AT] = time.monotonic()
        share = self._polls if _is_poll(environ) else self._requests
        return await share.run(call, self._app, environ)

    async def _run_long(self, environ: Environ, receive: Receive, send: Send) -> Answer | None:
        stream = Stream(self._app, environ, send)
        watcher = asyncio.create_task(_watch(receive, stream))
        try:
            return await self._streams.run(stream.run)
        finally:
            stream.client_has_gone()
            watcher.cancel()


async def _watch(receive: Receive, stream: Stream) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    stream.client_has_gone()


def _refused_head(scope: Scope) -> Answer | None:
    if len(scope["raw_path"]) + len(scope["query_string"]) > LONGEST_ADDRESS:
        return refusals.answer(HTTPStatus.REQUEST_URI_TOO_LONG)
    headers = scope["headers"]
    hosts = [value for name, value in headers if name == b"host"]
    if len(hosts) > 1 or (scope["http_version"] == "1.1" and not all(hosts[:1] or [b""])):  # RFC 9112, section 3.2
        return refusals.answer(HTTPStatus.BAD_REQUEST, detail="The request needs one `Host` header that is not empty.")
    if len(headers) > MOST_HEADERS or sum(len(name) + len(value) for name, value in headers) > LONGEST_HEADERS:
        return refusals.answer(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
    return None


def _announced(environ: Environ) -> int | None:
    length = environ.get("CONTENT_LENGTH", "")
    return int(length) if length.isascii() and length.isdigit() else None


def _is_poll(environ: Environ) -> bool:
    path = environ["PATH_INFO"]
    return environ["REQUEST_METHOD"] in {"GET", "HEAD"} and path.startswith(JOBS) and "/" not in path[len(JOBS) :]


def _may_take_long(environ: Environ) -> bool:
    return environ["PATH_INFO"].endswith("/events") or "wait" in environ.get("HTTP_PREFER", "").lower()


def _health_request() -> Environ:
    scope = {
        "method": "GET",
        "raw_path": HEALTH.encode(),
        "query_string": b"",
        "http_version": "1.1",
        "server": None,
        "client": None,
        "headers": [(b"host", b"localhost")],
    }
    return environ_of(scope)


def _is_among(proxies: Sequence[str], address: str) -> bool:
    if "*" in proxies:
        return True
    try:
        peer = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:  # a Unix socket: its file permissions guard it
        return bool(proxies)
    peer = getattr(peer, "ipv4_mapped", None) or peer
    networks = (ipaddress.ip_network(proxy, strict=False) for proxy in proxies)
    return any(peer.version == network.version and peer in network for network in networks)
