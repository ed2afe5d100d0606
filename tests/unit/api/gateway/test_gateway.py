import asyncio
import json
import threading
import time
from dataclasses import replace

import pytest

from api.app import create_app
from api.gateway import body
from api.gateway.gateway import MOST_HEADERS, POLLS, REQUESTS, WAITING, Gateway
from api.http.request_metrics import READY_AT
from api.jobs.disk_budget import DiskBudget
from shared.settings import Settings
from tests.fakes.asgi import Exchange
from tests.fakes.pictures import a_picture
from tests.waiting import patience_s

MANY = POLLS + REQUESTS + 200  # more than there are threads
FORM = "multipart/form-data; boundary=BB"


@pytest.fixture
def settings():
    return Settings(keys="on", max_upload_bytes=200_000, upload_budget_bytes=1_000_000, max_streams=2)


@pytest.fixture
def gateway(app):
    return Gateway(app, proxies=["10.0.0.0/8"])


@pytest.fixture
def ann(world):
    return {"Authorization": f"Bearer {world.services.keyring.create('ann')[1]}"}


@pytest.fixture
def bob(world):
    return {"Authorization": f"Bearer {world.services.keyring.create('bob')[1]}"}


def a_form(image: bytes) -> bytes:
    head = b'--BB\r\nContent-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n'
    return head + image + b"\r\n--BB--\r\n"


def send(gateway, method, path, headers=None, pieces=(), **options) -> Exchange:
    async def exchange() -> Exchange:
        headed = dict(headers or {})
        if (pieces or options.get("stalls")) and "Transfer-Encoding" not in headed:
            headed.setdefault("Content-Length", str(sum(map(len, pieces))))
        async with asyncio.timeout(patience_s()):
            return await Exchange(method, path, headed, pieces, **options).run(gateway)

    return asyncio.run(exchange())


def test_a_request_is_answered_by_the_application(gateway, ann):
    answer = send(gateway, "GET", "/v1/models", ann)

    assert answer.status == 200
    assert answer.answer_headers["content-type"] == "application/json"
    assert "models" in answer.json


def test_a_body_in_pieces_is_put_together(gateway, ann):
    form = a_form(a_picture())

    answer = send(gateway, "POST", "/v1/jobs", {**ann, "Content-Type": FORM}, [form[:10], form[10:500], form[500:]])

    assert (answer.status, answer.json["state"]) == (202, "queued")


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "0"}])
def test_an_optional_body_may_be_left_out(gateway, ann, headers):
    assert send(gateway, "POST", "/v1/uploads", ann | headers).status == 201


def test_nobody_reads_the_body_of_a_caller_without_a_key(gateway):
    answer = send(gateway, "POST", "/v1/jobs", {"Content-Type": FORM}, [b"--BB", b"..."])

    assert (answer.status, answer.json["code"], answer.read) == (401, "unauthorized", 0)


@pytest.mark.parametrize(
    ("path", "mimetype"),
    [("/v1/jobs", "text/plain"), ("/v1/session", FORM), ("/v1/uploads", "application/xml"), ("/v1/keys", "text/plain")],
)
def test_a_wrong_media_type_is_refused_before_the_body_is_read(gateway, ann, path, mimetype):
    answer = send(gateway, "POST", path, {"Content-Type": mimetype} | ({} if path == "/v1/session" else ann), [b"{}"])

    expected = (403, "forbidden") if path == "/v1/keys" else (415, "unsupported_media_type")
    assert (answer.status, answer.json["code"]) == expected
    assert answer.read == 0


@pytest.mark.parametrize(
    ("path", "mimetype", "size"),
    [
        ("/v1/session", "application/json", 1025),
        ("/v1/jobs", "application/json", 256 * 1024 + 1),
        ("/v1/jobs", FORM, 200_001),
        ("/v1/uploads", "application/json", 4097),
    ],
)
def test_a_body_that_is_too_long_is_refused_by_its_announced_length(gateway, ann, path, mimetype, size):
    headers = {"Content-Type": mimetype, "Content-Length": str(size)} | ({} if path == "/v1/session" else ann)

    answer = send(gateway, "POST", path, headers, [b"{"])

    assert (answer.status, answer.json["code"], answer.read) == (413, "request_too_large", 0)


def test_a_body_without_an_announced_length_is_read_up_to_its_limit(gateway):
    headers = {"Content-Type": "application/json", "Transfer-Encoding": "chunked"}

    answer = send(gateway, "POST", "/v1/session", headers, [b"x" * 600] * 10)

    assert (answer.status, answer.read) == (413, 2)


def test_a_slow_body_is_given_up_and_says_so(gateway, ann, monkeypatch):
    monkeypatch.setattr(body, "FIRST_CREDIT_S", 0.01)

    answer = send(gateway, "POST", "/v1/jobs", {**ann, "Content-Type": FORM}, [b"--BB"], stalls=True)

    assert (answer.status, answer.json["code"]) == (408, "request_timeout")


def test_a_fast_beginning_does_not_buy_an_endless_pause(monkeypatch, gateway, ann):
    monkeypatch.setattr(body, "LONGEST_CREDIT_S", 0.01)
    headers = {**ann, "Content-Type": FORM, "Content-Length": "190000"}

    answer = send(gateway, "POST", "/v1/jobs", headers, [bytes(180_000)], stalls=True)

    assert answer.status == 408


def test_slow_bodies_hold_no_thread(gateway, ann):
    async def attack() -> tuple[Exchange, Exchange]:
        headers = {**ann, "Content-Type": FORM, "Content-Length": "5000"}
        slow = [Exchange("POST", "/v1/jobs", headers, [b"-"], stalls=True) for _ in range(MANY)]
        running = [asyncio.create_task(exchange.run(gateway)) for exchange in slow]
        while not all(exchange.read for exchange in slow):
            await asyncio.sleep(0.01)
        honest = await Exchange("GET", "/v1/models", ann).run(gateway)
        form = a_form(a_picture())
        headers = {**ann, "Content-Type": FORM, "Content-Length": str(len(form))}
        submitted = await Exchange("POST", "/v1/jobs", headers, [form]).run(gateway)
        for exchange in slow:
            exchange.leaves.set()
        await asyncio.gather(*running)
        return honest, submitted

    honest, submitted = asyncio.run(attack())

    assert (honest.status, submitted.status) == (200, 202)


def test_a_health_check_never_waits_for_a_thread(settings, world, ann):
    # given an application whose every thread is busy
    app, free, asked = create_app(settings, services=world.services), threading.Event(), threading.Semaphore(0)

    def stuck() -> str:
        asked.release()
        free.wait(patience_s())
        return "done"

    app.view_functions["models.list_models"] = stuck
    gateway = Gateway(app)

    async def check() -> tuple[Exchange, list[Exchange]]:
        await _start(gateway)
        running = [asyncio.create_task(Exchange("GET", "/v1/models", ann).run(gateway)) for _ in range(MANY)]
        for _ in range(REQUESTS):
            await asyncio.to_thread(asked.acquire)

        # when
        health = await Exchange("GET", "/healthz").run(gateway)
        free.set()
        return health, await asyncio.gather(*running)

    health, others = asyncio.run(check())

    # then
    assert (health.status, health.json) == (200, {"status": "ok"})
    assert health.answer_headers["x-content-type-options"] == "nosniff"
    assert {other.status for other in others} == {200}


async def _start(gateway: Gateway) -> None:
    """Sends the server's start message."""
    messages = iter([{"type": "lifespan.startup"}])

    async def receive():
        for message in messages:
            return message
        raise asyncio.CancelledError

    async def ignore(_):
        pass

    with pytest.raises(asyncio.CancelledError):
        await gateway({"type": "lifespan"}, receive, ignore)


def test_more_requests_than_may_wait_are_refused_at_once(settings, world, ann):
    app, free = create_app(settings, services=world.services), threading.Event()
    app.view_functions["models.list_models"] = lambda: str(free.wait(patience_s()))
    gateway = Gateway(app)

    async def flood() -> list[Exchange]:
        exchanges = [Exchange("GET", "/v1/models", ann) for _ in range(REQUESTS + WAITING + 5)]
        running = [asyncio.create_task(exchange.run(gateway)) for exchange in exchanges]
        while sum(exchange.done for exchange in exchanges) < 5:
            await asyncio.sleep(0)
        free.set()
        return await asyncio.gather(*running)

    refused = [answer for answer in asyncio.run(flood()) if answer.status != 200]

    assert {(answer.status, answer.json["code"]) for answer in refused} == {(503, "overloaded")}
    assert len(refused) == 5
    assert refused[0].answer_headers["retry-after"] == "1"


def test_one_owners_uploads_leave_room_for_others(settings, world, ann, bob):
    # given an owner whose open upload holds its whole share
    disk = DiskBudget(1_000_000, longest_upload=200_000)
    gateway = Gateway(create_app(settings, services=replace(world.services, disk=disk)))

    async def fill() -> tuple[Exchange, Exchange]:
        length = {"Content-Type": FORM, "Content-Length": "200000"}
        held = Exchange("POST", "/v1/jobs", {**ann, **length}, [b"-"], stalls=True)
        running = asyncio.create_task(held.run(gateway))
        while not held.read:
            await asyncio.sleep(0.01)

        # when
        refused = await Exchange("POST", "/v1/jobs", {**ann, **length}, [b"-"]).run(gateway)
        form = a_form(a_picture() + bytes(100_000))
        headers = {**bob, "Content-Type": FORM, "Content-Length": str(len(form))}
        other = await Exchange("POST", "/v1/jobs", headers, [form]).run(gateway)
        held.leaves.set()
        await running
        return refused, other

    refused, other = asyncio.run(fill())

    # then
    assert (refused.status, refused.json["code"], refused.read) == (503, "too_many_uploads", 0)
    assert refused.answer_headers["retry-after"]
    assert other.status == 202
    assert disk.held_bytes == 0


@pytest.mark.parametrize(("strips", "most"), [(False, 2 * 130_000), (True, 3 * 130_000)])
def test_a_form_holds_the_bytes_of_all_its_copies(settings, world, ann, strips, most):
    disk = DiskBudget(1_000_000, longest_upload=200_000, strips=strips)
    gateway = Gateway(create_app(settings, services=replace(world.services, disk=disk)))

    async def held_bytes() -> int:
        sending = Exchange(
            "POST", "/v1/jobs", {**ann, "Content-Type": FORM, "Content-Length": "130000"}, [b"-"], stalls=True
        )
        running = asyncio.create_task(sending.run(gateway))
        while not sending.read:
            await asyncio.sleep(0.01)
        held = disk.held_bytes
        sending.leaves.set()
        await running
        return held

    assert asyncio.run(held_bytes()) == most


def test_an_address_that_is_too_long_is_a_problem(gateway):
    answer = send(gateway, "GET", "/" + "a" * 9000)

    assert (answer.status, answer.json["code"]) == (414, "uri_too_long")
    assert answer.answer_headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/healthz", "/v1/models"])
def test_an_empty_host_is_a_problem(gateway, ann, path):
    answer = send(gateway, "GET", path, ann | {"Host": ""})

    assert (answer.status, answer.json["code"]) == (400, "bad_request")
    assert "Host" in answer.json["detail"]


@pytest.mark.parametrize("headers", [{f"X-{n}": "1" for n in range(MOST_HEADERS)}, {"X-Long": "a" * 20_000}])
def test_too_many_or_too_long_headers_are_a_problem(gateway, headers):
    answer = send(gateway, "GET", "/healthz", headers)

    assert (answer.status, answer.json["code"]) == (431, "headers_too_large")


def test_only_a_proxy_says_that_a_client_came_over_https(gateway):
    said = {"X-Forwarded-Proto": "https"}

    assert "strict-transport-security" in send(gateway, "GET", "/", said, client="10.1.2.3").answer_headers
    assert "strict-transport-security" not in send(gateway, "GET", "/", said, client="192.0.2.1").answer_headers


def test_a_header_with_an_underscore_does_not_pass_for_one_with_a_dash(gateway):
    said = {"X_Forwarded_Proto": "https"}

    assert "strict-transport-security" not in send(gateway, "GET", "/", said, client="10.1.2.3").answer_headers


def test_an_event_stream_is_sent_piece_by_piece_and_ends_with_its_client(gateway, world, ann):
    form = a_form(a_picture())
    submitted = send(gateway, "POST", "/v1/jobs", {**ann, "Content-Type": FORM}, [form])

    async def follow() -> Exchange:
        stream = Exchange("GET", submitted.json["links"]["events"], ann)
        stream.on_piece = lambda piece: stream.leaves.set() if b"keepalive" in piece else None
        async with asyncio.timeout(patience_s()):
            return await stream.run(gateway)

    stream = asyncio.run(follow())

    assert stream.answer_headers["content-type"].startswith("text/event-stream")
    event = next(line for line in stream.body.decode().splitlines() if line.startswith("data: "))
    assert json.loads(event.removeprefix("data: "))["state"] == "queued"
    assert world.subscriptions.watching == 0


def test_ending_the_streams_ends_their_responses(gateway, world, ann):
    form = a_form(a_picture())
    submitted = send(gateway, "POST", "/v1/jobs", {**ann, "Content-Type": FORM}, [form])
    world.subscriptions.steps.append(gateway.end_streams)

    stream = send(gateway, "GET", submitted.json["links"]["events"], ann)

    assert stream.done
    assert b"event: job" in stream.body


def test_the_wait_for_a_thread_counts_into_a_requests_duration(http, ann, log_events):
    http.get("/v1/models", headers=ann, environ_overrides={READY_AT: time.monotonic() - 100})

    (event,) = [event for event in log_events if event["event"] == "request_completed"]
    assert event["duration_s"] >= 100
