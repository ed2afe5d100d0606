import base64
import hashlib
import hmac
import io
import json

import pytest

from shared import layout, ledger, webhooks
from shared.errors import StoreUnavailable
from shared.jobs import JobError, JobState, Outcome, Webhook
from shared.outbound import Undeliverable
from shared.webhooks import WAITS_S, Postman
from tests.twins.blobs import MemoryBlobs
from tests.twins.clock import FakeClock
from tests.twins.jobs import a_manifest
from tests.twins.store import MemoryStore

URL = "https://receiver.example/hook"
MASTER = b"master"


class Receiver:
    """Answers as it is told, and keeps what it heard."""

    def __init__(self) -> None:
        self.answers = []
        self.heard = []

    def __call__(self, url, body, headers):
        self.heard.append((url, body, headers))
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.blobs = MemoryBlobs()
        self.store = MemoryStore(self.clock)
        self.receiver = Receiver()
        self.postman = Postman(blobs=self.blobs, clock=self.clock, send=self.receiver, master=lambda: MASTER)

    def accept(self, **fields):
        manifest = a_manifest(webhook=Webhook(url=URL, events=("started", "completed")), owner="ann", **fields)
        ledger.accept(self.blobs, manifest, io.BytesIO(b"picture"))
        return manifest

    def outcome(self, state=JobState.SUCCEEDED, **fields):
        return Outcome(state=state, finished_at=self.clock.now(), **fields)

    @property
    def outbox(self):
        return [key for key in self.blobs.objects if key.startswith("webhooks/")]


@pytest.fixture
def world():
    return World()


def test_an_end_is_told_once_with_a_signature_that_the_standard_accepts(world):
    # given
    job = world.accept()
    ledger.settle(world.blobs, world.store, job.id, world.outcome())

    # when
    world.postman.go_round()
    world.postman.go_round()

    # then
    ((url, body, headers),) = world.receiver.heard
    assert url == URL
    assert json.loads(body)["type"] == "job.completed"
    assert json.loads(body)["data"]["state"] == "succeeded"
    secret = webhooks.shown(webhooks.secret_of("ann", MASTER))
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    assert world.outbox == []


def test_a_beginning_is_told_too_where_that_was_asked_for(world):
    job = world.accept()

    webhooks.owe_started(world.blobs, job.id, epoch=0, started_at=world.clock.now())
    webhooks.owe_started(world.blobs, job.id, epoch=0, started_at=world.clock.now())
    world.postman.go_round()

    ((_, body, _),) = world.receiver.heard
    assert json.loads(body)["type"] == "job.started"


def test_only_what_was_asked_for_is_told(world):
    manifest = a_manifest(webhook=Webhook(url=URL))
    ledger.accept(world.blobs, manifest, io.BytesIO(b""))

    webhooks.owe_started(world.blobs, manifest.id, epoch=0, started_at=1.0)

    assert world.outbox == []


def test_a_job_without_a_webhook_owes_none(world):
    manifest = a_manifest()
    ledger.accept(world.blobs, manifest, io.BytesIO(b""))
    ledger.settle(world.blobs, world.store, manifest.id, world.outcome())

    assert world.outbox == []


def test_a_failure_says_why(world):
    job = world.accept()
    error = JobError(code="out_of_memory", message="The device ran out of memory.")
    ledger.settle(world.blobs, world.store, job.id, world.outcome(JobState.FAILED, error=error))

    world.postman.go_round()

    assert json.loads(world.receiver.heard[0][1])["data"]["error"]["code"] == "out_of_memory"


def test_what_dies_between_the_outcome_and_the_outbox_is_found_by_the_next_who_closes(world):
    # given a worker that dies as soon as the outcome is written
    job = world.accept()
    outcome = world.outcome()
    world.blobs.put(layout.outcome(job.id, 0), outcome.model_dump_json().encode())
    assert layout.pending(job.id) in world.blobs.objects

    # when the caretaker reconciles
    ledger.close(world.blobs, world.store, job.id, outcome)

    # then
    assert world.outbox == [layout.webhook(f"{job.id}-0-completed")]


def test_the_message_is_owed_before_redis_hears_of_the_end(world):
    job = world.accept()
    world.store.available = False

    with pytest.raises(StoreUnavailable):
        ledger.settle(world.blobs, world.store, job.id, world.outcome())

    assert len(world.outbox) == 1
    assert layout.pending(job.id) in world.blobs.objects


def test_a_receiver_that_is_away_is_tried_for_a_day_under_the_same_id(world):
    # given
    job = world.accept()
    ledger.settle(world.blobs, world.store, job.id, world.outcome())
    world.receiver.answers = [500, Undeliverable()] + [503] * 20
    began = world.clock.now()

    # when
    while world.outbox:
        world.postman.go_round()
        world.clock.sleep(1 if world.clock.now() - began < 60 else 60)

    # then
    assert len(world.receiver.heard) == len(WAITS_S) + 1
    assert len({headers["webhook-id"] for _, _, headers in world.receiver.heard}) == 1
    assert 23 * 3600 < world.clock.now() - began < 24 * 3600


def test_a_message_gets_through_once_the_receiver_is_back(world):
    job = world.accept()
    ledger.settle(world.blobs, world.store, job.id, world.outcome())
    world.receiver.answers = [500, 204]

    world.postman.go_round()
    world.postman.go_round()
    assert len(world.receiver.heard) == 1
    world.clock.sleep(5)
    world.postman.go_round()

    assert len(world.receiver.heard) == 2
    assert world.outbox == []


def test_a_receiver_that_is_gone_for_good_is_not_tried_again(world):
    job = world.accept()
    ledger.settle(world.blobs, world.store, job.id, world.outcome())
    world.receiver.answers = [410]

    world.postman.go_round()

    assert world.outbox == []


def test_every_owner_has_a_secret_of_their_own():
    assert webhooks.secret_of("ann", MASTER) != webhooks.secret_of("bob", MASTER)
