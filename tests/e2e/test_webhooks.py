"""Webhooks of a real job to a real receiver: signed, in order, and retried after a failure."""

import itertools
import queue
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest
from standardwebhooks import Webhook

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


def test_webhooks_are_signed_ordered_and_retried_after_a_failure(stack, client, photograph, receiver):
    # given
    secret = httpx.get(f"{stack.api_url}/v1/webhooks/secret").json()["secret"]

    # when
    job = client.submit(photograph, SMALL, webhook_url=receiver.url, webhook_events="started,completed")
    assert client.wait(job.id).state is JobState.SUCCEEDED
    messages = [receiver.messages.get(timeout=patience_s()) for _ in range(3)]

    # then
    refused, started, completed = messages
    assert [message.status for message in messages] == [503, 204, 204]
    assert [message.id for message in messages] == [f"{job.id}-0-started"] * 2 + [f"{job.id}-0-completed"]
    assert started.body == refused.body
    assert int(started.headers["webhook-timestamp"]) > int(refused.headers["webhook-timestamp"])
    first, last = (Webhook(secret).verify(message.body, message.headers) for message in (started, completed))
    assert (first["type"], first["data"]["state"]) == ("job.started", "running")
    assert (last["type"], last["data"]["state"]) == ("job.completed", "succeeded")
    assert last["data"]["links"]["self"] == f"{stack.api_url}/v1/jobs/{job.id}"
    assert httpx.get(last["data"]["links"]["result"], follow_redirects=True).status_code == 200
