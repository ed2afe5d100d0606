import base64
import hashlib
import hmac
import json

import pytest
from structlog.testing import capture_logs

from shared.errors import StoreUnavailable
from shared.jobs.job import JobError, JobState, Outcome, Webhook
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from shared.webhooks import delivery
from shared.webhooks.delivery import WAITS_S, WebhookDispatcher
from shared.webhooks.outbound import Undeliverable
from tests.fakes import documents
from tests.fakes.clock import FakeClock
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage

URL = "https://receiver.example/hook"
MASTER = b"master"


class Receiver:
    """Sends scripted responses and records requests."""

    def __init__(self) -> None:
        self.answers = []
        self.heard = []
        self.raises = {}  # by address

    def __call__(self, url, body, headers):
        self.heard.append((url, body, headers))
        if url in self.raises:
            raise self.raises[url]
        answer = self.answers.pop(0) if self.answers else 200
        if isinstance(answer, Exception):
            raise answer
        return answer


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.storage = MemoryObjectStorage()
        self.store = MemoryJobStore(self.clock)
        self.receiver = Receiver()
        self.lifecycle = JobLifecycle(self.storage, self.store, MemoryNotifier())
        self.webhook_dispatcher = WebhookDispatcher(
            storage=self.storage, clock=self.clock, send=self.receiver, master=lambda: MASTER
        )

    def accept(self, **fields):
        manifest = a_manifest(webhook=Webhook(url=URL, events=("started", "completed")), owner="ann", **fields)
        documents.accepted(self.storage, manifest)
        return manifest

    def outcome(self, state=JobState.SUCCEEDED, **fields):
        return Outcome(state=state, finished_at=self.clock.now(), **fields)

    @property
    def outbox(self):
        return [key for key in self.storage.objects if key.startswith("webhooks/")]


@pytest.fixture
def world():
    return World()


@pytest.fixture(autouse=True)
def log_events():
    with capture_logs() as events:
        yield events


def test_an_end_is_told_once_with_a_signature_that_the_standard_accepts(world):
    # given
    job = world.accept()
    world.lifecycle.settle(job.id, world.outcome())

    # when
    world.webhook_dispatcher.deliver_due()
    world.webhook_dispatcher.deliver_due()

    # then
    ((url, body, headers),) = world.receiver.heard
    assert url == URL
    assert json.loads(body)["type"] == "job.completed"
    assert json.loads(body)["data"]["state"] == "succeeded"
    secret = delivery.shown(delivery.secret_of("ann", MASTER))
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    expected = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(expected).decode()}"
    assert world.outbox == []


def test_a_beginning_is_told_too_where_that_was_asked_for(world):
    job = world.accept()

    delivery.queue_started(world.storage, job.id, retry_count=0, started_at=world.clock.now())
    delivery.queue_started(world.storage, job.id, retry_count=0, started_at=world.clock.now())
    world.webhook_dispatcher.deliver_due()

    ((_, body, _),) = world.receiver.heard
    assert json.loads(body)["type"] == "job.started"


def test_only_what_was_asked_for_is_told(world):
    manifest = a_manifest(webhook=Webhook(url=URL))
    documents.accepted(world.storage, manifest)

    delivery.queue_started(world.storage, manifest.id, retry_count=0, started_at=1.0)

    assert world.outbox == []


def test_a_job_without_a_webhook_owes_none(world):
    manifest = a_manifest()
    documents.accepted(world.storage, manifest)
    world.lifecycle.settle(manifest.id, world.outcome())

    assert world.outbox == []


def test_a_failure_says_why(world):
    job = world.accept()
    error = JobError(code="out_of_memory", message="The device ran out of memory.")
    world.lifecycle.settle(job.id, world.outcome(JobState.FAILED, error=error))

    world.webhook_dispatcher.deliver_due()

    assert json.loads(world.receiver.heard[0][1])["data"]["error"]["code"] == "out_of_memory"


def test_what_dies_between_the_outcome_and_the_outbox_is_found_by_the_next_who_closes(world):
    # given a worker that dies as soon as the outcome is written
    job = world.accept()
    outcome = world.outcome()
    world.storage.put(object_keys.outcome(job.id, 0), outcome.model_dump_json().encode())
    assert object_keys.pending(job.id) in world.storage.objects

    # when the caretaker reconciles
    world.lifecycle.close(job.id, outcome)

    # then
    assert world.outbox == [object_keys.webhook(f"{job.id}-0-completed")]


def test_the_message_is_owed_before_redis_hears_of_the_end(world):
    job = world.accept()
    world.store.available = False

    with pytest.raises(StoreUnavailable):
        world.lifecycle.settle(job.id, world.outcome())

    assert len(world.outbox) == 1
    assert object_keys.pending(job.id) in world.storage.objects


def test_an_unavailable_receiver_is_retried_for_a_day_under_the_same_id(world):
    # given
    job = world.accept()
    world.lifecycle.settle(job.id, world.outcome())
    world.receiver.answers = [500, Undeliverable()] + [503] * 20
    began = world.clock.now()

    # when
    while world.outbox:
        world.webhook_dispatcher.deliver_due()
        world.clock.sleep(1 if world.clock.now() - began < 60 else 60)

    # then
    assert len(world.receiver.heard) == len(WAITS_S) + 1
    assert len({headers["webhook-id"] for _, _, headers in world.receiver.heard}) == 1
    assert 23 * 3600 < world.clock.now() - began < 24 * 3600


def test_a_message_gets_through_once_the_receiver_is_back(world):
    job = world.accept()
    world.lifecycle.settle(job.id, world.outcome())
    world.receiver.answers = [500, 204]

    world.webhook_dispatcher.deliver_due()
    world.webhook_dispatcher.deliver_due()
    assert len(world.receiver.heard) == 1
    world.clock.sleep(5)
    world.webhook_dispatcher.deliver_due()

    assert len(world.receiver.heard) == 2
    assert world.outbox == []


def test_a_receiver_that_is_gone_for_good_is_not_tried_again(world):
    job = world.accept()
    world.lifecycle.settle(job.id, world.outcome())
    world.receiver.answers = [410]

    world.webhook_dispatcher.deliver_due()

    assert world.outbox == []


def test_every_owner_has_a_secret_of_their_own():
    assert delivery.secret_of("ann", MASTER) != delivery.secret_of("bob", MASTER)


def a_message(world, name, owner="ann", **fields):
    defaults = {"url": URL, "body": "{}", "due_at": world.clock.now()}
    message = delivery.Delivery(id=name, owner=owner, **(defaults | fields))
    world.storage.put(object_keys.webhook(name), message.model_dump_json().encode(), content_type="application/json")


def test_a_message_that_breaks_the_dispatcher_is_backed_off_alone(world):
    # given
    a_message(world, "1-poisoned", url="https://bücher.example/hook")
    a_message(world, "2-good")
    world.receiver.raises["https://bücher.example/hook"] = TypeError("str cannot be encoded")

    # when
    world.webhook_dispatcher.deliver_due()
    world.webhook_dispatcher.deliver_due()

    # then
    assert len(world.receiver.heard) == 2
    (left,) = world.outbox
    kept = delivery.Delivery.model_validate_json(world.storage.get(left))
    assert (kept.id, kept.attempts) == ("1-poisoned", 1)
    assert kept.due_at > world.clock.now()


def test_a_message_that_can_not_be_read_holds_up_no_other(world, log_events):
    world.storage.put(object_keys.webhook("1-broken"), b"{", content_type="application/json")
    a_message(world, "2-good")

    world.webhook_dispatcher.deliver_due()
    world.webhook_dispatcher.deliver_due()

    assert len(world.receiver.heard) == 1
    assert [event["event"] for event in log_events].count("document_unreadable") == 1


def test_an_owner_with_many_messages_delays_others_by_one_round_at_most(world):
    for number in range(100):
        a_message(world, f"1-{number:03}")
    a_message(world, "2-other", owner="bob", body='{"bob": 1}')

    world.webhook_dispatcher.deliver_due()

    assert any(body == b'{"bob": 1}' for _, body, _ in world.receiver.heard)
    assert len(world.receiver.heard) == delivery.OWNERS_SHARE + 1


def test_messages_that_are_not_due_are_not_read_again_and_again(world, monkeypatch):
    a_message(world, "later", due_at=world.clock.now() + 60)
    reads = []
    monkeypatch.setattr(world.storage, "get", lambda key, get=world.storage.get: reads.append(key) or get(key))

    for _ in range(3):
        world.webhook_dispatcher.deliver_due()
    world.clock.sleep(60)
    world.webhook_dispatcher.deliver_due()

    assert len(reads) == 2
    assert len(world.receiver.heard) == 1
