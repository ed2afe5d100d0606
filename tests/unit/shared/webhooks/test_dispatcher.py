import json
import time
from datetime import UTC, datetime

import pytest
from standardwebhooks import Webhook as Verifier
from standardwebhooks import WebhookVerificationError
from structlog.testing import capture_logs

from api.schemas.job_view import JobView
from shared.errors import StoreUnavailable
from shared.jobs.job import Job, JobError, JobState, Outcome, Webhook
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from shared.webhooks import delivery
from shared.webhooks.dispatcher import OWNERS_SHARE, STARTED_ATTEMPTS, WAITS_S, WebhookDispatcher
from shared.webhooks.outbound import Undeliverable
from tests.fakes import documents
from tests.fakes.clock import FakeClock
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage

URL = "https://receiver.example/hook"
MASTER = b"master"


class Receiver:
    """Responds with the given statuses, then with 200, and keeps the requests."""

    def __init__(self) -> None:
        self.statuses = []
        self.refused_types = ()
        self.requests = []
        self.raises = {}  # by address

    def __call__(self, url, body, headers):
        self.requests.append((url, body, headers))
        if url in self.raises:
            raise self.raises[url]
        if json.loads(body).get("type") in self.refused_types:
            return 503
        status = self.statuses.pop(0) if self.statuses else 200
        if isinstance(status, Exception):
            raise status
        return status

    @property
    def messages(self):
        return [json.loads(body) for _, body, _ in self.requests]


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
        webhook = Webhook(url=URL, events=("started", "completed"), api_url="https://dreams.example")
        manifest = a_manifest(webhook=webhook, owner="ann", **fields)
        documents.accepted(self.storage, manifest)
        return manifest

    def outcome(self, state=JobState.SUCCEEDED, **fields):
        return Outcome(state=state, finished_at=self.clock.now(), **fields)

    def start(self, job, *, retry_count=0):
        delivery.queue_started(self.storage, job.id, retry_count=retry_count, started_at=self.clock.now())

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


def test_the_signature_satisfies_the_standards_own_library(world):
    # given
    world.clock.time = time.time()  # the library compares the timestamp with it
    job = world.accept()
    world.lifecycle.settle(job.id, world.outcome())

    # when
    world.webhook_dispatcher.deliver_due()

    # then
    ((url, body, headers),) = world.receiver.requests
    assert url == URL
    assert Verifier(delivery.shown(delivery.secret_of("ann", MASTER))).verify(body, headers)["type"] == "job.completed"
    with pytest.raises(WebhookVerificationError):
        Verifier(delivery.shown(delivery.secret_of("bob", MASTER))).verify(body, headers)


def test_a_message_is_delivered_once(world):
    job = world.accept()
    world.lifecycle.settle(job.id, world.outcome())

    world.webhook_dispatcher.deliver_due()
    world.webhook_dispatcher.deliver_due()

    assert len(world.receiver.requests) == 1
    assert world.outbox == []


def test_the_body_has_a_type_an_iso_timestamp_and_the_job_with_absolute_links(world):
    job = world.accept(name="cat")
    finished_at = world.clock.now()
    world.lifecycle.settle(job.id, world.outcome(started_at=finished_at - 5, claim="c"))

    world.webhook_dispatcher.deliver_due()

    (message,) = world.receiver.messages
    assert message.keys() == {"type", "timestamp", "data"}
    assert datetime.fromisoformat(message["timestamp"]) == datetime.fromtimestamp(finished_at, UTC)
    data = message["data"]
    assert (data["id"], data["kind"], data["state"], data["name"]) == (job.id, "dream", "succeeded", "cat")
    assert datetime.fromisoformat(data["started_at"]).timestamp() == finished_at - 5
    assert data["links"]["self"] == f"https://dreams.example/v1/jobs/{job.id}"
    assert data["links"]["result"] == f"https://dreams.example/v1/jobs/{job.id}/result"


def test_the_job_in_a_message_has_the_fields_of_the_jobs_own_address(world):
    job = world.accept(name="cat")
    outcome = world.outcome(JobState.FAILED, error=JobError(code="out_of_memory", message="Out of memory."))
    world.lifecycle.settle(job.id, outcome)

    world.webhook_dispatcher.deliver_due()

    view = json.loads(JobView.of(Job.from_manifest(job).ended(outcome), None).model_dump_json())
    data = world.receiver.messages[0]["data"]
    same = data.keys() - {"retry_count", "links"}
    assert {name: data[name] for name in same} == {name: view[name] for name in same}
    assert data["links"].keys() == view["links"].keys()


def test_a_message_has_the_jobs_new_name(world):
    job = world.accept(name="cat")
    world.lifecycle.rename(Job.from_manifest(job), "dog")
    world.lifecycle.settle(job.id, world.outcome())

    world.webhook_dispatcher.deliver_due()

    assert world.receiver.messages[0]["data"]["name"] == "dog"


def test_the_start_is_reported_once_where_it_was_requested(world):
    job = world.accept()

    world.start(job)
    world.start(job)
    world.webhook_dispatcher.deliver_due()

    (message,) = world.receiver.messages
    assert message["type"] == "job.started"
    assert message["data"]["state"] == "running"


def test_the_start_is_not_reported_where_only_the_end_was_requested(world):
    manifest = a_manifest(webhook=Webhook(url=URL))
    documents.accepted(world.storage, manifest)

    world.start(manifest)

    assert world.outbox == []


def test_a_job_without_a_webhook_queues_no_message(world):
    manifest = a_manifest()
    documents.accepted(world.storage, manifest)
    world.lifecycle.settle(manifest.id, world.outcome())

    assert world.outbox == []


def test_a_failed_job_reports_its_error(world):
    job = world.accept()
    error = JobError(code="out_of_memory", message="The device ran out of memory.")
    world.lifecycle.settle(job.id, world.outcome(JobState.FAILED, error=error))

    world.webhook_dispatcher.deliver_due()

    assert world.receiver.messages[0]["data"]["error"]["code"] == "out_of_memory"


def test_started_arrives_before_completed_even_if_its_first_delivery_fails(world):
    # given
    job = world.accept()
    world.start(job)
    world.receiver.statuses = [503]
    world.webhook_dispatcher.deliver_due()
    world.lifecycle.settle(job.id, world.outcome())

    # when
    world.webhook_dispatcher.deliver_due()
    assert len(world.receiver.requests) == 1
    world.clock.sleep(WAITS_S[0])
    world.webhook_dispatcher.deliver_due()

    # then
    assert [message["type"] for message in world.receiver.messages] == ["job.started", "job.started", "job.completed"]
    assert world.outbox == []


def test_the_messages_of_a_retried_job_arrive_in_the_order_of_its_events(world):
    # given a receiver that is down while a job fails and is retried eleven times
    job = world.accept()
    for retry_count in range(12):
        documents.pending(world.storage, job.id, retry_count)
        world.start(job, retry_count=retry_count)
        world.lifecycle.settle(job.id, world.outcome(JobState.FAILED, retry_count=retry_count))

    # when
    world.webhook_dispatcher.deliver_due()

    # then
    counts = [(message["data"]["retry_count"], message["type"]) for message in world.receiver.messages]
    assert counts == [(count, event) for count in range(12) for event in ("job.started", "job.completed")]


def test_a_receiver_that_refuses_started_gets_completed_within_minutes(world):
    job = world.accept()
    world.start(job)
    world.lifecycle.settle(job.id, world.outcome())
    world.receiver.refused_types = ("job.started",)
    began = world.clock.now()

    while world.outbox:
        world.webhook_dispatcher.deliver_due()
        world.clock.sleep(1)

    assert [message["type"] for message in world.receiver.messages] == [
        *["job.started"] * STARTED_ATTEMPTS,
        "job.completed",
    ]
    assert world.clock.now() - began < 15 * 60


@pytest.mark.parametrize("is_deleted", [False, True])
def test_a_late_attempt_does_not_report_a_start_after_the_end(world, is_deleted):
    # given an attempt that checks that the job is pending, and is then frozen until the job has ended
    job = world.accept()
    world.start(job)
    (late,) = world.outbox
    document = world.storage.objects[late]
    world.webhook_dispatcher.deliver_due()
    world.lifecycle.settle(job.id, world.outcome())
    world.webhook_dispatcher.deliver_due()
    assert world.outbox == []
    if is_deleted:
        world.lifecycle.delete(job.id)

    # when
    world.storage.put(late, document)
    world.webhook_dispatcher.deliver_due()

    # then
    assert [message["type"] for message in world.receiver.messages] == ["job.started", "job.completed"]
    assert world.outbox == []


def test_a_message_lost_between_the_outcome_and_the_outbox_is_queued_by_the_next_close(world):
    # given a worker that dies as soon as the outcome is written
    job = world.accept()
    outcome = world.outcome()
    world.storage.put(object_keys.outcome(job.id, 0), outcome.model_dump_json().encode())
    assert object_keys.pending(job.id) in world.storage.objects

    # when the caretaker reconciles
    world.lifecycle.close(job.id, outcome)

    # then
    assert world.outbox == [object_keys.webhook(f"{job.id}-0-completed")]


def test_a_message_delivered_long_ago_is_not_queued_again_after_redis_was_wiped(world):
    # given a job whose end was reported
    job = world.accept()
    outcome = world.lifecycle.settle(job.id, world.outcome())
    world.webhook_dispatcher.deliver_due()
    assert world.outbox == []

    # when its end is applied to an empty Redis again
    world.store.wipe()
    world.lifecycle.restore(job.id, now=world.clock.now())
    world.lifecycle.close(job.id, outcome)

    # then
    assert world.outbox == []


def test_the_message_is_queued_before_redis_is_updated(world):
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
    world.receiver.statuses = [500, Undeliverable()] + [503] * 20
    began = world.clock.now()

    # when
    while world.outbox:
        world.webhook_dispatcher.deliver_due()
        world.clock.sleep(1 if world.clock.now() - began < 60 else 60)

    # then
    assert len(world.receiver.requests) == len(WAITS_S) + 1
    assert len({headers["webhook-id"] for _, _, headers in world.receiver.requests}) == 1
    assert 23 * 3600 < world.clock.now() - began < 24 * 3600


def test_a_message_is_delivered_once_the_receiver_is_back(world):
    job = world.accept()
    world.lifecycle.settle(job.id, world.outcome())
    world.receiver.statuses = [500, 204]

    world.webhook_dispatcher.deliver_due()
    world.webhook_dispatcher.deliver_due()
    assert len(world.receiver.requests) == 1
    world.clock.sleep(5)
    world.webhook_dispatcher.deliver_due()

    assert len(world.receiver.requests) == 2
    assert world.outbox == []


def test_a_receiver_that_answers_410_gets_no_further_attempt(world):
    job = world.accept()
    world.lifecycle.settle(job.id, world.outcome())
    world.receiver.statuses = [410]

    world.webhook_dispatcher.deliver_due()

    assert world.outbox == []


def test_each_owner_has_a_different_secret():
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
    assert len(world.receiver.requests) == 2
    (left,) = world.outbox
    kept = delivery.Delivery.model_validate_json(world.storage.get(left))
    assert (kept.id, kept.attempts) == ("1-poisoned", 1)
    assert kept.due_at > world.clock.now()


def test_a_message_that_can_not_be_read_holds_up_no_other(world, log_events):
    world.storage.put(object_keys.webhook("1-broken"), b"{", content_type="application/json")
    a_message(world, "2-good")

    world.webhook_dispatcher.deliver_due()
    world.webhook_dispatcher.deliver_due()

    assert len(world.receiver.requests) == 1
    assert [event["event"] for event in log_events].count("document_unreadable") == 1


def test_an_owner_with_many_messages_delays_others_by_one_round_at_most(world):
    for number in range(100):
        a_message(world, f"1-{number:03}")
    a_message(world, "2-other", owner="bob", body='{"bob": 1}')

    world.webhook_dispatcher.deliver_due()

    assert any(body == b'{"bob": 1}' for _, body, _ in world.receiver.requests)
    assert len(world.receiver.requests) == OWNERS_SHARE + 1


def test_messages_that_are_not_due_are_not_read_again_and_again(world, monkeypatch):
    a_message(world, "later", due_at=world.clock.now() + 60)
    reads = []
    monkeypatch.setattr(world.storage, "get", lambda key, get=world.storage.get: reads.append(key) or get(key))

    for _ in range(3):
        world.webhook_dispatcher.deliver_due()
    world.clock.sleep(60)
    world.webhook_dispatcher.deliver_due()

    assert len(reads) == 2
    assert len(world.receiver.requests) == 1
