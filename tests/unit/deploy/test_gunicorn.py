"""Tests the API under gunicorn: /metrics sums up all processes, and no file is left behind."""

import json
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


def test_metrics_count_all_processes_and_their_folder_is_removed(api):
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


def test_no_process_outlives_a_killed_main_process(api):
    url, process = api

    process.kill()

    wait_until(lambda: not answers(f"{url}/healthz"), what="the port to be free")


def test_a_connection_is_kept_alive_and_pipelined(api):
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


HOST = b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
FORM = b"POST /v1/jobs" + HOST + b"Content-Type: multipart/form-data; boundary=BB\r\n"


REFUSED = [
    (b"GET /" + b"a" * 9000 + HOST + b"\r\n", 414, "uri_too_long"),
    (b"GET /healthz" + HOST + b"X-Long: " + b"a" * 20_000 + b"\r\n\r\n", 431, "headers_too_large"),
    (b"GET /healthz" + HOST + b"X-Many: 1\r\n" * 200 + b"\r\n", 431, "headers_too_large"),
    (b"GET /healthz" + HOST + b"Bad Name: 1\r\n\r\n", 400, "bad_request"),
    (b"nonsense\r\n\r\n", 400, "bad_request"),
    (FORM + b"Transfer-Encoding: chunked\r\n\r\nzz--BB\r\n\r\n", 400, "bad_request"),
    (FORM + b"Transfer-Encoding: chunked\r\n\r\n5\r\n--BB\r\n", 400, "bad_request"),
    (FORM + b"Content-Length: 5000\r\n\r\n--BB\r\n", 400, "bad_request"),
]


def test_what_the_server_itself_refuses_is_a_problem_like_all_others(api):
    url, _ = api
    for request, status, code in REFUSED:  # in one test: a start of the api takes seconds
        with socket.create_connection(("127.0.0.1", int(url.rsplit(":", 1)[1])), timeout=10) as connection:
            connection.sendall(request)
            connection.shutdown(socket.SHUT_WR)  # the client says no more
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        head, body = answer.split(b"\r\n\r\n", 1)

        assert int(head.split()[1]) == status, request[:60]
        assert b"content-type: application/problem+json" in head.lower()
        problem = json.loads(body)
        assert (problem["status"], problem["code"], bool(problem["detail"])) == (status, code, True)
