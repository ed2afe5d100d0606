"""Profiles a poll, layer by layer. Run: python -m tests.benchmarks.api.profile (needs wrk, a minute)

The application is called in this process, on one thread, and its stack is sampled every millisecond of CPU time;
what the server adds is the difference to what wrk's polls cost its processes. Prometheus counts in memory here,
in files there.
"""

import contextlib
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from types import FrameType

from werkzeug.test import EnvironBuilder, run_wsgi_app

from api.app import create_app
from shared import logs
from tests.benchmarks.api.load import Target, prepare
from tests.benchmarks.api.stage import Load, ask, on_one_core

POLLS, WARM_UP, SECONDS = 20_000, 1000, 10
# The first that fits a file's path, from the innermost frame outwards.
LAYERS = {
    "Redis's client, and the kernel for it": r"/site-packages/redis/",
    "Prometheus' counters": r"/prometheus_client/",
    "the log record": r"/(logging|structlog)/",
    "Flask-Limiter": r"/(flask_limiter|limits)/",
    "pydantic": r"/pydantic",
    "Flask and Werkzeug": r"/site-packages/(flask|werkzeug|apiflask)/",
    "our own code": r"/(api|shared)/\w",
}


def main() -> int:
    with on_one_core() as (api,):
        target = prepare(api)
        for name, headers in (("200", {}), ("304", {"If-None-Match": target.etag})):
            there = ask(api, target.job, Load(headers=tuple(f"{n}: {v}" for n, v in headers.items())), seconds=SECONDS)
            here_us, layers = in_process(target, headers)
            sys.stdout.write(f"poll, {name}: {1000 * there.cpu_ms:.0f} us of processor time in the whole API\n")
            beside_us = 1000 * there.cpu_ms - here_us
            sys.stdout.write(f"  {beside_us:5.0f} us  Uvicorn, the gateway, their threads, and the kernel for them\n")
            for layer, count in layers.most_common():
                sys.stdout.write(f"  {here_us * count / layers.total():5.0f} us  {layer}\n")
    return 0


def in_process(target: Target, headers: dict[str, str]) -> tuple[float, Counter[str]]:
    """Returns the CPU time of one poll in microseconds, and the samples per layer."""
    with _no_log():
        app = create_app(target.api.settings)
        environ = EnvironBuilder(target.job, headers=headers, environ_base={"REMOTE_ADDR": "127.0.0.1"}).get_environ()

        def poll() -> None:
            run_wsgi_app(app, dict(environ), buffered=True)

        for _ in range(WARM_UP):
            poll()
        with _sampled() as met:
            begun = time.process_time()
            for _ in range(POLLS):
                poll()
            took_s = time.process_time() - begun
    return 1e6 * took_s / POLLS, met


@contextlib.contextmanager
def _sampled() -> Iterator[Counter[str]]:
    met: Counter[str] = Counter()

    def look(_: int, frame: FrameType | None) -> None:
        met[_layer(frame)] += 1

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, 0.001, 0.001)
    try:
        yield met
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _layer(frame: FrameType | None) -> str:
    while frame is not None:
        for layer, pattern in LAYERS.items():
            if re.search(pattern, frame.f_code.co_filename):
                return layer
        frame = frame.f_back
    return "calling it"


@contextlib.contextmanager
def _no_log() -> Iterator[None]:
    """Records are made and written as ever, to nowhere."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stderr(nowhere):  # noqa: PTH123 - a device
        logs.configure()
        yield


if __name__ == "__main__":
    sys.exit(main())
