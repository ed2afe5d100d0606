"""Tests what a connection gets whose client is slow, malformed or gone."""

import json
from http import HTTPStatus

import pytest
from uvicorn import Config
from uvicorn.server import ServerState

from api.gateway import protocol, refusals
from api.gateway.protocol import DISCARD_S, HEAD_BYTES, HEAD_S, MOST_PIPELINED, SEND_S, GuardedProtocol


class Timer:
    def __init__(self, after_s, act):
        self.after_s, self.act, self.is_canceled = after_s, act, False

    def cancel(self):
        self.is_canceled = True


class Loop:
    """An event loop whose timers the test fires, and which keeps tasks without running them."""

    def __init__(self):
        self.timers, self.tasks = [], []

    def call_later(self, after_s, act, *_):
        self.timers.append(Timer(after_s, act))
        return self.timers[-1]

    def create_task(self, coroutine):
        coroutine.close()
        self.tasks.append(coroutine)
        return self

    def add_done_callback(self, _):
        pass

    @property
    def due(self):
        return [timer for timer in self.timers if not timer.is_canceled]


class Transport:
    def __init__(self):
        self.written, self.is_closed, self.is_aborted = b"", False, False

    def write(self, data):
        self.written += data

    def close(self):
        self.is_closed = True

    def abort(self):
        self.is_closed = self.is_aborted = True

    def is_closing(self):
        return self.is_closed

    def get_extra_info(self, name):
        return {"peername": ("192.0.2.1", 1), "sockname": ("127.0.0.1", 8000)}.get(name)

    def pause_reading(self):
        pass

    def resume_reading(self):
        pass


@pytest.fixture
def loop():
    return Loop()


@pytest.fixture
def connection(loop):
    async def app(scope, receive, send):
        raise NotImplementedError

    config = Config(app, interface="asgi3", ws="none", log_config=None)
    made = GuardedProtocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)
    made.connection_made(Transport())
    return made


def problem(connection) -> dict:
    head, body = connection.transport.written.split(b"\r\n\r\n", 1)
    assert b"content-type: application/problem+json" in head
    assert b"connection: close" in head
    assert int(head.split()[1]) == json.loads(body)["status"]
    return json.loads(body)


def test_a_connection_that_says_nothing_is_closed(connection, loop):
    (timer,) = loop.due

    timer.act()

    assert timer.after_s == HEAD_S
    assert (connection.transport.is_closed, connection.transport.written) == (True, b"")


def test_headers_that_come_too_slowly_are_a_problem(connection, loop):
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n")

    (timer,) = loop.due
    timer.act()

    assert (problem(connection)["code"], connection.transport.is_closed) == ("request_timeout", True)


def test_a_trickle_does_not_extend_the_deadline_of_the_headers(connection, loop):
    for byte in b"GET / HTTP/1.1\r\nHost: a\r\n":
        connection.data_received(bytes([byte]))

    assert len(loop.due) == 1
    assert len(loop.timers) <= 2  # of the connection, and of its first request


def test_an_empty_line_after_a_request_does_not_keep_the_connection(connection, loop):
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.cycle.response_started = connection.cycle.response_complete = True
    connection.on_response_complete()
    connection.data_received(b"\r\n")

    (timer,) = loop.due
    timer.act()

    assert timer.after_s == HEAD_S
    assert connection.transport.is_closed


def test_a_complete_head_ends_the_deadline(connection, loop):
    connection.data_received(b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")

    assert loop.due == []
    assert len(loop.tasks) == 1


def test_the_rest_of_an_unwanted_body_is_not_received_forever(connection, loop):
    connection.data_received(b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n")
    connection.cycle.response_started = connection.cycle.response_complete = True
    connection.on_response_complete()

    timer = loop.due[-1]
    timer.act()

    assert timer.after_s == DISCARD_S
    assert connection.transport.is_aborted


@pytest.mark.parametrize(("requests", "is_closed"), [(MOST_PIPELINED + 1, False), (MOST_PIPELINED + 2, True)])
def test_the_requests_that_wait_on_a_connection_are_limited(connection, requests, is_closed):
    connection.data_received(b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n" * requests)

    assert connection.transport.is_closed is is_closed
    assert len(connection.pipeline) == MOST_PIPELINED


CHUNKED = b"POST /v1/session HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"


def test_trailers_are_dropped(connection):
    connection.data_received(CHUNKED + b"2\r\n{}\r\n0\r\n" + b"x-trailer: 1\r\n" * 10)

    assert [name for name, _ in connection.headers] == [b"host", b"transfer-encoding"]


@pytest.mark.parametrize("sent", [b"0\r\n" + b"a:b\r\n" * 20_000, b"0\r\na: " + b"b" * 100_000, b"2;" + b"e" * 100_000])
def test_what_is_beside_the_body_is_limited(connection, sent):
    connection.data_received(CHUNKED)
    for start in range(0, len(sent), 10_000):
        connection.data_received(sent[start : start + 10_000])

    assert problem(connection)["code"] == "headers_too_large"


def test_small_chunks_of_a_long_body_are_not(connection):
    connection.data_received(CHUNKED)
    for _ in range(20):
        connection.data_received(b"1\r\na\r\n" * 1000)

    assert not connection.transport.is_closed


def test_a_client_that_does_not_read_is_disconnected(connection, loop):
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.pause_writing()

    (timer,) = loop.due
    timer.act()

    assert timer.after_s == SEND_S
    assert connection.transport.is_aborted


def test_a_client_that_reads_on_in_time_is_not(connection, loop):
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    connection.pause_writing()
    connection.resume_writing()

    assert loop.due == []


@pytest.mark.parametrize(
    "data",
    [
        b"nonsense\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nBad Name: 1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"GET \xff HTTP/1.1\r\n\r\n",
        b"CONNECT host:443 HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_not_http_is_a_problem(connection, data):
    connection.data_received(data)

    assert (problem(connection)["code"], connection.transport.is_closed) == ("bad_request", True)


def test_an_endless_header_is_refused_before_it_ends(connection):
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ")
    while not connection.transport.is_closed:
        connection.data_received(b"a" * HEAD_BYTES)

    assert problem(connection)["status"] == 431


def test_an_endless_address_is_refused_before_it_ends(connection):
    connection.data_received(b"GET /")
    while not connection.transport.is_closed:
        connection.data_received(b"a" * HEAD_BYTES)

    assert problem(connection)["status"] == 414


def test_a_request_that_is_cut_off_is_a_problem(connection):
    connection.data_received(b"POST /v1/jobs HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n--BB")

    connection.eof_received()

    assert problem(connection)["detail"] == protocol.CUT_OFF


def test_a_client_that_has_sent_all_may_close_its_side(connection):
    connection.data_received(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")

    assert connection.eof_received()
    assert not connection.transport.is_closed


def test_a_connection_that_ends_leaves_no_timer(connection, loop):
    connection.data_received(b"GET / HTTP/1.1\r\n")

    connection.connection_lost(None)

    assert loop.due == []


def test_a_response_that_has_begun_is_not_mixed_with_a_problem(connection):
    connection.data_received(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000\r\n\r\n--BB")
    connection.cycle.response_started = True

    connection.eof_received()

    assert (connection.transport.written, connection.transport.is_closed) == (b"", True)


def test_every_refusal_has_a_sentence():
    for status in refusals.REFUSALS:
        assert json.loads(refusals.answer(status).body)["detail"].endswith(".")
    assert refusals.answer(HTTPStatus.SERVICE_UNAVAILABLE).status == 503
