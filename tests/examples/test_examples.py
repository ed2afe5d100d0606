"""Runs every example program."""

import subprocess
import sys
import threading
import time
from contextlib import closing
from datetime import UTC, datetime
from http.client import HTTPConnection
from http.server import HTTPServer
from urllib.parse import urlsplit

import httpx
import numpy as np
import pytest
from PIL import Image
from standardwebhooks import Webhook

from deploy.local.process import ROOT
from examples.webhook_receiver import Receiver
from shared.jobs.job import JobState
from shared.webhooks.delivery import shown, sign
from shared.webhooks.message import WebhookMessage
from tests.fakes.job_factory import an_ended_job
from tests.waiting import patience_s

SECRET = b"0123456789abcdef0123456789abcdef"
BODY = (
    WebhookMessage.of("completed", an_ended_job(JobState.SUCCEEDED, id="01J"), api_url="http://dreams")
    .model_dump_json()
    .encode()
)


@pytest.fixture
def photograph(tmp_path):
    path = tmp_path / "photographs" / "noise.png"
    path.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 255, (120, 160, 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def run(example, *arguments):
    program = [sys.executable, "-m", f"examples.{example}", *map(str, arguments)]
    return subprocess.run(program, cwd=ROOT, capture_output=True, text=True, check=True).stdout


def size(picture):
    with Image.open(picture) as image:
        return image.size


def test_the_python_client_saves_the_result(stack, photograph, tmp_path):
    output = run("python_client", stack.api_url, photograph, tmp_path / "dream.png")

    assert "succeeded: 100%" in output
    assert size(tmp_path / "dream.png") == (160, 120)


def test_the_asynchronous_client_saves_a_result_for_each_photograph(stack, photograph, tmp_path):
    (photograph.parent / "damaged.jpg").write_bytes(b"not an image")

    output = run("async_client", stack.api_url, tmp_path / "dreams", photograph, photograph.parent / "damaged.jpg")

    assert "noise.png: 100%" in output
    assert [size(path) for path in (tmp_path / "dreams").iterdir()] == [(160, 120)]


def test_the_batch_dreams_on_each_photograph_once(stack, photograph, tmp_path):
    (photograph.parent / "damaged.jpg").write_bytes(b"not an image")

    first = run("batch_folder", stack.api_url, photograph.parent, tmp_path / "dreams")
    second = run("batch_folder", stack.api_url, photograph.parent, tmp_path / "dreams")

    assert first == f"{tmp_path / 'dreams' / 'noise.png'}\n"
    assert second == ""


def test_a_network_of_ones_own_dreams(photograph, tmp_path):
    run("own_network", photograph, tmp_path / "dream.png")

    assert size(tmp_path / "dream.png") == (160, 120)


@pytest.fixture
def receiver(monkeypatch):
    monkeypatch.setenv("WEBHOOK_SECRET", shown(SECRET))
    monkeypatch.setattr(Receiver, "log_message", lambda *_: None)
    monkeypatch.setattr(Receiver, "seen", set())
    with HTTPServer(("127.0.0.1", 0), Receiver) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_the_receiver_handles_a_signed_message_once(receiver, capsys):
    headers = sign(SECRET, "message-1", _now(), BODY)

    statuses = [httpx.post(receiver, content=BODY, headers=headers).status_code for _ in range(2)]

    assert statuses == [204, 204]
    assert capsys.readouterr().out == "job.completed: job 01J is succeeded http://dreams/v1/jobs/01J/result\n"


def test_the_receiver_accepts_what_the_standards_own_library_has_signed(receiver):
    now = datetime.now(UTC)
    signature = Webhook(shown(SECRET)).sign("message-1", now, BODY.decode())
    headers = {
        "webhook-id": "message-1",
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": f"v1a,b3RoZXI= {signature}",  # several while a secret is replaced
    }

    assert httpx.post(receiver, content=BODY, headers=headers).status_code == 204


@pytest.mark.parametrize(
    "headers",
    [
        {},
        sign(b"another secret", "message-1", 0, BODY),
        sign(SECRET, "message-1", 0, BODY),  # from 1970: a replay
        {"webhook-id": "1", "webhook-timestamp": "9" * 5000},
        {
            "webhook-id": "1",
            "webhook-timestamp": str(int(time.time())),
            "webhook-signature": "v1,\xe9".encode("latin-1"),
        },
    ],
)
def test_the_receiver_refuses_forged_and_replayed_messages(receiver, headers):
    assert httpx.post(receiver, content=BODY, headers=headers).status_code == 400


@pytest.mark.parametrize("size", ["-1", "9" * 12, "many"])
def test_the_receiver_refuses_a_body_of_odd_length(receiver, size):
    with closing(HTTPConnection(urlsplit(receiver).netloc, timeout=patience_s())) as connection:
        connection.putrequest("POST", "/")
        connection.putheader("Content-Length", size)
        connection.endheaders()

        assert connection.getresponse().status == 400


def test_the_receiver_refuses_a_message_whose_body_was_changed(receiver):
    headers = sign(SECRET, "message-1", _now(), BODY)

    assert httpx.post(receiver, content=BODY + b" ", headers=headers).status_code == 400


def _now():
    return int(time.time())
