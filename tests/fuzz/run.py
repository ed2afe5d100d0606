"""Sends generated requests to the API's own HTTP server, gateway and application, on fakes of Redis and S3."""

import asyncio
import contextlib
import io
import logging
import random
import re
import time
from collections import Counter
from dataclasses import dataclass, field

import uvicorn
from structlog.testing import capture_logs

from api.app import create_app
from api.gateway.gateway import Gateway
from api.gateway.protocol import GuardedProtocol
from api.wiring import assemble
from shared.errors import ImageTooLarge, ImageUnreadable, UnsupportedImage
from shared.interfaces import WorkerInfo
from shared.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.job_queries import MemoryJobQueries, RecordingJobStore, Script
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from tests.fakes.pictures import a_picture
from tests.fuzz.requests import PICTURES, Target, a_request, damaged
from tests.waiting import patience_s
from worker import images

MAX_PIXELS = 1_000_000
AT_ONCE = 256
FILES = 10  # one in so many inputs is a file for the worker's decoders
CLEAR = (ImageTooLarge, ImageUnreadable, UnsupportedImage)
HIGH = 10**9
ADMIN_KEY = "an-admin-key-of-some-length"


@dataclass
class Findings:
    """What came of all inputs."""

    statuses: Counter[int] = field(default_factory=Counter)
    files: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def count(self) -> int:
        return self.statuses.total() + self.files.total()


def fuzz(count: int, *, seed: int, seconds: float = float("inf")) -> Findings:
    """Tries so many inputs, or those that fit the time. Each input depends on the seed and its number alone."""
    findings = Findings()
    with capture_logs() as events:
        asyncio.run(_fuzz(findings, count, seed, time.monotonic() + seconds))
    findings.faults += [str(event)[:500] for event in events if event["event"] == "request_failed"]
    return findings


async def _fuzz(findings: Findings, count: int, seed: int, ends_at: float) -> None:
    app, target = _application()
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)
    config = uvicorn.Config(
        Gateway(app), http=GuardedProtocol, ws="none", lifespan="on", interface="asgi3", log_config=None, port=0,
        access_log=False, proxy_headers=False,
    )  # fmt: skip
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server._serve())  # without its signal handlers
    while not server.started:
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    numbers = iter(range(count))

    async def send_some() -> None:
        for number in numbers:
            if time.monotonic() > ends_at:
                return
            rng = random.Random(f"{seed} {number}")
            if number % FILES == 0:
                _decode(findings, number, rng)
            else:
                await _send(findings, number, port, a_request(rng, target))

    await asyncio.gather(*(send_some() for _ in range(AT_ONCE)))
    server.should_exit = True
    await serving


async def _send(findings: Findings, number: int, port: int, request: bytes) -> None:
    response = b""
    try:
        async with asyncio.timeout(patience_s(60)):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            with contextlib.suppress(ConnectionError):
                writer.write(request)
                writer.write_eof()
                while piece := await reader.read(1 << 20):
                    response += piece
            writer.close()
    except TimeoutError:
        findings.faults.append(f"{number}: no end of the response to {request[:300]!r}")
    response = response.removeprefix(b"HTTP/1.1 100 Continue\r\n\r\n")
    status = re.match(rb"HTTP/1\.1 (\d{3}) ", response)
    findings.statuses[int(status[1]) if status else 0] += 1
    if status is None and request:
        findings.faults.append(f"{number}: no response to {request[:300]!r}")
    elif status and status[1] in {b"500", b"501", b"502"}:
        findings.faults.append(f"{number}: {response[:300]!r} to {request[:300]!r}")
    elif status and int(status[1]) >= 400 and not _is_told(response, request):
        findings.faults.append(f"{number}: not a problem: {response[:300]!r}")


def _is_told(response: bytes, request: bytes) -> bool:
    """Tells whether an error is a problem; outside of /v1, a person gets a page."""
    head = response.partition(b"\r\n\r\n")[0].lower()
    is_page = b"\ncontent-type: text/html" in head and not request.partition(b" ")[2].startswith(b"/v1/")
    return is_page or b"\ncontent-type: application/problem+json" in head


def _decode(findings: Findings, number: int, rng: random.Random) -> None:
    picture = rng.choice([picture for picture in PICTURES if picture])
    try:
        images.decode(io.BytesIO(damaged(rng, picture)), max_pixels=MAX_PIXELS)
    except CLEAR as exc:
        findings.files[type(exc).__name__] += 1
    except Exception as exc:  # noqa: BLE001 - that is what is looked for
        findings.faults.append(f"{number}: {exc!r} in the worker")
    else:
        findings.files["decoded"] += 1


def _application():
    clock = FakeClock()
    store, storage = RecordingJobStore(clock), MemoryObjectStorage(clock)
    limits = dict.fromkeys(
        ("requests_per_minute", "polls_per_minute", "submissions_per_minute", "unauthenticated_per_minute"), HIGH
    )
    settings = Settings(
        keys="on", admin_key=ADMIN_KEY, max_pixels=MAX_PIXELS, max_upload_bytes=1 << 20, max_queued=5_000, **limits
    )
    services = assemble(
        settings,
        store=store,
        storage=storage,
        notifier=MemoryNotifier(),
        job_queries=MemoryJobQueries(store, clock),
        subscriptions=Script(clock),
        clock=clock,
    )
    worker = WorkerInfo(name="w", models=("efficientnet-lite0",), device="cpu", job_id=None, seen_at=0)
    store.register_worker(worker, ttl_s=HIGH)  # without one, /readyz is a 503
    app = create_app(settings, services=services)
    key = services.keyring.create("ann")[1]
    form = {"image": (io.BytesIO(a_picture()), "a.jpg")}
    job = app.test_client().post("/v1/jobs", data=form, headers={"Authorization": f"Bearer {key}"}).json
    routes = [
        (method, rule.rule.replace("path:", ""))
        for rule in app.url_map.iter_rules()
        for method in sorted(rule.methods or ())
        if method != "OPTIONS"
    ]
    return app, Target(routes=routes, job_id=job["id"], keys=[*[key] * 6, ADMIN_KEY, "dream_0123456789abcdef_x"])
