"""Uvicorn's HTTP protocol, with deadlines for what a client sends, and refusals as problems."""

import asyncio
import socket
from collections.abc import Callable
from http import HTTPStatus
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from api.gateway import refusals

HEAD_S = 10.0  # for the address and the headers of a request, from the connection's or the request's first byte
HEAD_BYTES = 64 * 1024  # of a head that is not complete; smaller limits are checked once it is
DISCARD_S = 5.0  # for the rest of a body that nobody wants: a client that still sends could not read the response
MOST_PIPELINED = 16  # requests of a connection that wait for the response before theirs
SEND_S = 60.0  # for what is waiting to be sent; a client that reads slower is disconnected
CUT_OFF = "The request ended before it was complete."


class GuardedProtocol(HttpToolsProtocol):
    """One connection. Its deadlines cost no thread: a slow client waits alone."""

    _head_bytes: int | None = 0  # received of the current head; None while a body is received
    _overhead_bytes = 0  # received in a row that are no part of a body: sizes of chunks, their extensions, trailers
    _is_complete = True  # whether the last request has been received to its end
    _deadline: asyncio.TimerHandle | None = None
    _send_deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as Uvicorn's
        super().connection_made(transport)
        connection = cast(socket.socket | None, transport.get_extra_info("socket"))
        if connection is not None and connection.family in {socket.AF_INET, socket.AF_INET6}:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._set_deadline(HEAD_S, self._give_up_on_head)

    def connection_lost(self, exc: Exception | None) -> None:
        self._clear_deadline()
        self._clear_send_deadline()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._clear_send_deadline()
        self._send_deadline = self.loop.call_later(SEND_S, self.transport.abort)  # closing would wait for the client

    def resume_writing(self) -> None:
        super().resume_writing()
        self._clear_send_deadline()

    def data_received(self, data: bytes) -> None:
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        else:
            self._overhead_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > HEAD_BYTES and not self.transport.is_closing():
            is_address = not self.headers
            self._refuse(HTTPStatus.REQUEST_URI_TOO_LONG if is_address else HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._head_bytes is None and self._overhead_bytes > HEAD_BYTES:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self._head_bytes and self._deadline is None and not self._is_answering():
            self._set_deadline(HEAD_S, self._give_up_on_head)  # empty lines, which begin no request

    def eof_received(self) -> bool:  # type: ignore[override] # asyncio asks whether to keep the connection
        """Keeps the connection for the response to a complete request: the client may still read."""
        if not self._is_complete or self._head_bytes:
            self._refuse(HTTPStatus.BAD_REQUEST, CUT_OFF)
        return self._is_answering()

    def on_message_begin(self) -> None:
        """Raises OverflowError, which ends parsing, when too many requests wait: one packet may hold thousands."""
        if len(self.pipeline) >= MOST_PIPELINED:
            raise OverflowError
        super().on_message_begin()
        self._is_complete = False
        self._set_deadline(HEAD_S, self._give_up_on_head)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._head_bytes is not None:  # else a trailer, after the body, which nobody reads
            super().on_header(name, value)

    def on_body(self, body: bytes) -> None:
        self._overhead_bytes = 0
        super().on_body(body)

    def on_headers_complete(self) -> None:
        self._head_bytes, self._overhead_bytes = None, 0
        self._clear_deadline()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._is_complete = True
        self._head_bytes = 0
        self._clear_deadline()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if not self._is_complete and self._head_bytes is None:
            self._set_deadline(DISCARD_S, self.transport.abort)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - it says no more than that it is not valid
        self._refuse(HTTPStatus.BAD_REQUEST)

    def _give_up_on_head(self) -> None:
        if self._head_bytes:
            self._refuse(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _refuse(self, status: HTTPStatus, detail: str | None = None) -> None:
        """Ends the connection, with a problem unless another response has begun."""
        if self.transport.is_closing():
            return
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            self.transport.write(refusals.as_http(refusals.answer(status, detail=detail)))
        self.transport.close()

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _set_deadline(self, after_s: float, act: Callable[[], None]) -> None:
        self._clear_deadline()
        self._deadline = self.loop.call_later(after_s, act)

    def _clear_deadline(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _clear_send_deadline(self) -> None:
        if self._send_deadline is not None:
            self._send_deadline.cancel()
            self._send_deadline = None
