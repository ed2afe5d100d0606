"""Webhooks of a real job to a real receiver: signed, and retried after a failure."""

import base64
import hashlib
import hmac
import itertools
import json
import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from shared.jobs.job import JobState
from tests.waiting import patience_s

SMALL = {"octaves": 1, "iterations": 2}


@dataclass(frozen=True)
class Message:
    """A delivered message and the status of its response."""

    headers: dict[str, str]
    body: bytes
    status: int

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]


class Receiver(HTTPServer):
    """Refuses the first message and accepts all others."""

    def __init__(self) -> None:
        self.messages: queue.Queue[Message] = queue.Queue()
        self.statuses = itertools.chain([503], itertools.repeat(204))
        super().__init__(("127.0.0.1", 0), Hook)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"


class Hook(BaseHTTPRequestHandler):
    server: Receiver

    def do_POST(self) -> None:
        status = next(self.server.statuses)
        body = self.rfile.read(int(self.headers["content-length"]))
        self.send_response(status)
        self.end_headers()
        self.server.messages.put(Message({name.lower(): value for name, value in self.headers.items()}, body, status))

    def log_message(self, *_) -> None:
        """Keeps requests out of the tests' output."""


@pytest.fixture
def receiver():
    with Receiver() as receiver:
        thread = threading.Thread(target=receiver.serve_forever)
        thread.start()
        yield receiver
        receiver.shutdown()
        thread.join()


def is_signed(message, secret):
    """Verifies the signature as receivers do: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{message.id}.{message.headers['webhook-timestamp']}.".encode() + message.body
    expected = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    return f"v1,{expected}" in message.headers["webhook-signature"].split()


def test_webhooks_are_signed_and_retried_after_a_failure(stack, client, photograph, receiver):
    # given
    secret = httpx.get(f"{stack.api_url}/v1/webhooks/secret").json()["secret"]

    # when
    job = client.submit(photograph, SMALL, webhook_url=receiver.url, webhook_events="started,completed")
    assert client.wait(job.id).state is JobState.SUCCEEDED
    messages = [receiver.messages.get(timeout=patience_s()) for _ in range(3)]

    # then
    refused, *accepted = messages
    assert refused.status == 503
    assert sorted(message.id for message in accepted) == [f"{job.id}-0-completed", f"{job.id}-0-started"]
    (again,) = [message for message in accepted if message.id == refused.id]
    assert again.body == refused.body
    assert int(again.headers["webhook-timestamp"]) > int(refused.headers["webhook-timestamp"])
    for message in messages:
        assert is_signed(message, secret)
        assert not is_signed(message, "whsec_" + base64.b64encode(b"another secret").decode())
    bodies = {message.id: json.loads(message.body) for message in accepted}
    started, completed = bodies[f"{job.id}-0-started"], bodies[f"{job.id}-0-completed"]
    assert (started["type"], started["data"]["state"]) == ("job.started", "running")
    assert (completed["type"], completed["data"]["state"]) == ("job.completed", "succeeded")
    assert completed["data"]["link"] == f"/v1/jobs/{job.id}"
