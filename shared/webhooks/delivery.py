"""Delivers webhooks about jobs to clients' servers: an outbox in S3, signed messages, a day of retries.

A message is written when its event happens: `started` by the worker that has claimed the job, `completed` by the
process that closes the outcome, before it removes `pending`. So after any crash the reconciliation of `pending` finds
the messages that are still missing. A job's messages are delivered in the order of its events.
Format and signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import structlog

from shared.clock import Clock
from shared.errors import DreamError
from shared.interfaces import ObjectStorage
from shared.jobs.job import Document, Job, JobState, Outcome, WebhookEvent
from shared.s3 import object_keys
from shared.s3.job_records import JobRecords
from shared.webhooks.message import WebhookMessage

log = structlog.get_logger(__name__)

SECRET = "webhooks"  # noqa: S105 - the name of the secret from which owners' secrets are derived
# Waits between attempts, seconds: short at first, 23.5 hours in total.
WAITS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28080)
STARTED_ATTEMPTS = 5  # of a "started" message while "completed" waits behind it: 13 minutes
AT_ONCE = 8
GONE = 410  # HTTP 410: the receiver never wants this again


@dataclass(frozen=True, order=True)
class MessageId:
    """The id of a message, which receivers see. Sorts by job, and within a job by event."""

    job_id: str
    retry_count: int
    is_completed: bool

    @classmethod
    def parse(cls, text: str) -> "MessageId":
        job_id, retry_count, event = text.split("-")
        return cls(job_id, int(retry_count), event == "completed")

    @property
    def event(self) -> WebhookEvent:
        return "completed" if self.is_completed else "started"

    def __str__(self) -> str:
        return f"{self.job_id}-{self.retry_count}-{self.event}"


class Delivery(Document):
    """Describes a message that is not delivered yet, at `webhooks/{id}`. Its id stays the same for all attempts."""

    id: str
    owner: str
    url: str
    body: str  # exactly as signed and sent
    attempts: int = 0
    due_at: float  # Unix time, seconds


class Sender(Protocol):
    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Sends the request. Returns the receiver's HTTP status. Raises Undeliverable."""


def queue_started(storage: ObjectStorage, job_id: str, *, retry_count: int, started_at: float) -> None:
    """Queues the message that a worker has started the job. Idempotent: the id stays the same.

    started_at: Unix time, seconds.
    """
    _queue(
        storage,
        MessageId(job_id, retry_count, is_completed=False),
        lambda job: replace(job, state=JobState.RUNNING, started_at=started_at),
        due_at=started_at,
    )


def queue_completed(storage: ObjectStorage, job_id: str, outcome: Outcome) -> None:
    """Queues the message that the job has ended: after the outcome is written and before `pending` is removed.

    Idempotent: the id stays the same. Does nothing without `pending`: then another process has closed the outcome and
    has queued the message already, perhaps months ago.
    """
    _queue(
        storage,
        MessageId(job_id, outcome.retry_count, is_completed=True),
        lambda job: job.ended(outcome),
        due_at=outcome.finished_at,
    )


def secret_of(owner: str, master: bytes) -> bytes:
    """Derives an owner's signing secret."""
    return hmac.digest(master, f"webhook:{owner}".encode(), "sha256")


def shown(secret: bytes) -> str:
    """Formats a secret as receivers' libraries expect it."""
    return f"whsec_{base64.b64encode(secret).decode()}"


def sign(secret: bytes, message_id: str, timestamp: int, body: bytes) -> dict[str, str]:
    """Returns the three headers of Standard Webhooks. timestamp: Unix time, seconds."""
    signed = b".".join((message_id.encode(), str(timestamp).encode(), body))
    signature = base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()
    return {"webhook-id": message_id, "webhook-timestamp": str(timestamp), "webhook-signature": f"v1,{signature}"}


class WebhookDispatcher:
    """Delivers due messages. May be interrupted, or deliver a message twice: the id lets receivers recognize it."""

    def __init__(self, *, storage: ObjectStorage, clock: Clock, send: Sender, master: Callable[[], bytes]) -> None:
        self._storage = storage
        self._clock = clock
        self._send = send
        self._master = master

    def deliver_due(self) -> int:
        """Tries to deliver all due messages, those of several jobs at a time. Returns how many it tried."""
        waiting: dict[str, list[MessageId]] = defaultdict(list)
        for key in self._storage.keys(object_keys.webhook("")):
            message = MessageId.parse(key.removeprefix(object_keys.webhook("")))
            waiting[message.job_id].append(message)
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return sum(pool.map(self._deliver_in_order, waiting.values()))

    def _deliver_in_order(self, messages: Sequence[MessageId]) -> int:
        """Delivers the messages of one job until one is not due or fails. Returns how many it tried."""
        tried = 0
        ordered = sorted(messages)
        for index, message in enumerate(ordered, 1):
            text = self._storage.get(object_keys.webhook(str(message)))
            if text is None:  # another caretaker has delivered it
                continue
            delivery = Delivery.model_validate_json(text)
            if delivery.due_at > self._clock.now() or self._is_overtaken(message, ordered):
                break
            tried += 1
            if not self._deliver(delivery, is_last=index == len(ordered)):
                break
        return tried

    def _is_overtaken(self, message: MessageId, waiting: Sequence[MessageId]) -> bool:
        """Tells whether `completed` was or may have been delivered already; then removes `started` or leaves it.

        An attempt that was frozen between its claim and this message may queue it long after another one has ended
        the job.
        """
        completed = replace(message, is_completed=True)
        if message.is_completed or completed in waiting:
            return False
        if self._storage.size(object_keys.outcome(message.job_id, message.retry_count)) is None:
            return False
        is_closed = self._storage.size(object_keys.pending(message.job_id, message.retry_count)) is None
        if is_closed and self._storage.size(object_keys.webhook(str(completed))) is None:
            self._storage.delete([object_keys.webhook(str(message))])
        return True

    def _deliver(self, delivery: Delivery, *, is_last: bool) -> bool:
        """Sends one message. Returns True if it was delivered or given up, so that the job's next one may follow."""
        body = delivery.body.encode()
        secret = secret_of(delivery.owner, self._master())
        headers = sign(secret, delivery.id, int(self._clock.now()), body)
        try:
            status = self._send(delivery.url, body, headers)
        except DreamError as exc:
            return self._try_again(delivery, str(exc), is_last=is_last)
        if 200 <= status < 300:
            self._storage.delete([object_keys.webhook(delivery.id)])
            log.info("webhook_delivered", delivery=delivery.id, attempts=delivery.attempts + 1)
            return True
        if status == GONE:
            return self._give_up(delivery, "The receiver answered 410 (gone).")
        return self._try_again(delivery, f"The receiver answered {status}.", is_last=is_last)

    def _try_again(self, delivery: Delivery, why: str, *, is_last: bool) -> bool:
        """Postpones the message, or gives it up after its last attempt. Returns True if it is given up."""
        is_superseded = not is_last and delivery.id.endswith("-started")  # `completed` has its `started_at`
        if delivery.attempts >= (STARTED_ATTEMPTS - 1 if is_superseded else len(WAITS_S)):
            return self._give_up(delivery, why)
        if self._storage.size(object_keys.webhook(delivery.id)) is None:  # another caretaker has delivered it
            return True
        due_at = self._clock.now() + WAITS_S[delivery.attempts]
        later = delivery.model_copy(update={"attempts": delivery.attempts + 1, "due_at": due_at})
        self._storage.put(
            object_keys.webhook(delivery.id), later.model_dump_json().encode(), content_type="application/json"
        )
        log.info("webhook_attempt_failed", delivery=delivery.id, attempts=later.attempts, reason=why)
        return False

    def _give_up(self, delivery: Delivery, why: str) -> bool:
        self._storage.delete([object_keys.webhook(delivery.id)])
        log.warning("webhook_abandoned", delivery=delivery.id, attempts=delivery.attempts + 1, reason=why)
        return True


def _queue(storage: ObjectStorage, message: MessageId, applied: Callable[[Job], Job], *, due_at: float) -> None:
    """Queues the message, unless its receiver does not want that event or the job is closed.

    applied: applies the event to the job.   due_at: Unix time, seconds.
    """
    records = JobRecords(storage)
    manifest = records.manifest(message.job_id)
    webhook = manifest.webhook if manifest else None
    if manifest is None or webhook is None or message.event not in webhook.events:
        return
    if storage.size(object_keys.pending(message.job_id, message.retry_count)) is None:
        return
    job = Job.from_manifest(manifest, retry_count=message.retry_count)
    job = applied(replace(job, name=records.name(job.id, records.keys(job.id), otherwise=job.name)))
    body = WebhookMessage.of(message.event, job, api_url=webhook.api_url)
    delivery = Delivery(
        id=str(message), owner=manifest.owner, url=webhook.url, body=body.model_dump_json(), due_at=due_at
    )
    document = delivery.model_dump_json().encode()
    storage.put(object_keys.webhook(delivery.id), document, content_type="application/json", if_absent=True)
