"""Tests the API under gunicorn: /metrics sums up all processes, and no file is left behind."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from deploy.local.components import GUNICORN
from deploy.local.embedded_services import StackState, answers
from deploy.local.process import ROOT
from tests.waiting import exit_code, patience_s, wait_until


@pytest.fixture
def api(settings):
    port = StackState().port("api")
    url = f"http://127.0.0.1:{port}"
    env = {
        **os.environ,
        "DREAM_REDIS_URL": settings.redis_url,
        "DREAM_S3_URL": settings.s3_url,
        "DREAM_S3_ACCESS_KEY": settings.s3_access_key.get_secret_value(),
        "DREAM_S3_SECRET_KEY": settings.s3_secret_key.get_secret_value(),
    }
    argv = [sys.executable, "-m", "gunicorn", "-c", str(GUNICORN), "-b", f"127.0.0.1:{port}", "api.app:create_app()"]
    process = subprocess.Popen(argv, cwd=ROOT, env=env, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: answers(f"{url}/healthz"), what="an answer of the api")
        yield url, process
    finally:
        process.kill()
        process.wait()


def places(pid):
    return [place for folder in ("/dev/shm", "/tmp") for place in Path(folder).glob(f"dreamqueue-metrics-{pid}-*")]


def test_what_any_process_answered_is_counted_by_all_and_the_place_for_it_goes_with_them(api):
    url, process = api
    for _ in range(30):
        httpx.get(f"{url}/v1/models")

    counts = set()
    for _ in range(10):
        text = httpx.get(f"{url}/metrics").text
        (count,) = re.findall(r'dream_http_requests_total\{.*route="/v1/models",status="200"\} (\S+)', text)
        counts.add(float(count))
    assert counts == {30.0}
    assert len(places(process.pid)) == 1

    process.send_signal(signal.SIGTERM)
    assert exit_code(process) == 0
    assert places(process.pid) == []


def test_one_connection_asks_again_and_again_at_once_and_several_times_in_one_breath(api):
    url, _ = api
    with httpx.Client(base_url=url) as client:
        assert {client.get("/healthz").status_code for _ in range(20)} == {200}

    address = ("127.0.0.1", int(url.rsplit(":", 1)[1]))
    with socket.create_connection(address, timeout=patience_s()) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n" * 3)
        answers = b""
        while answers.count(b"HTTP/1.1 200") < 3:
            received = connection.recv(65536)
            assert received, "closed before the third answer"
            answers += received
