"""Delivers webhooks about jobs to clients' servers: an outbox in S3, signed messages, a day of retries.

A message is written when its event happens: `started` by the worker that has claimed the job, `completed` by the
process that closes the outcome, before it removes `pending`. So after any crash the reconciliation of `pending` finds
the messages that are still missing.
Format and signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import structlog

from shared.clock import Clock
from shared.errors import DreamError
from shared.interfaces import ObjectStorage
from shared.jobs.job import Document, JobState, Outcome, WebhookEvent
from shared.s3 import object_keys
from shared.s3.job_records import JobRecords

log = structlog.get_logger(__name__)

SECRET = "webhooks"  # noqa: S105 - the name of the secret from which owners' secrets are derived
# Waits between attempts, seconds: short at first, 23.5 hours in total.
WAITS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28080)
AT_ONCE = 8
GONE = 410  # HTTP 410: the receiver never wants this again


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
    _queue(storage, job_id, "started", retry_count=retry_count, at=started_at, more={"state": JobState.RUNNING})


def queue_completed(storage: ObjectStorage, job_id: str, outcome: Outcome) -> None:
    """Queues the message that the job has ended: after the outcome is written and before `pending` is removed.

    Idempotent: the id stays the same. Does nothing without `pending`: then another process has closed the outcome and
    has queued the message already, perhaps months ago.
    """
    error = outcome.error.model_dump() if outcome.error else None
    more = {"state": outcome.state, "error": error}
    _queue(storage, job_id, "completed", retry_count=outcome.retry_count, at=outcome.finished_at, more=more)


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
        """Tries to deliver all due messages, several at a time. Returns how many it tried."""
        due = [delivery for key in self._storage.keys(object_keys.webhook("")) if (delivery := self._due(key))]
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            list(pool.map(self._deliver, due))
        return len(due)

    def _due(self, key: str) -> Delivery | None:
        text = self._storage.get(key)
        delivery = Delivery.model_validate_json(text) if text else None
        return delivery if delivery and delivery.due_at <= self._clock.now() else None

    def _deliver(self, delivery: Delivery) -> None:
        body = delivery.body.encode()
        secret = secret_of(delivery.owner, self._master())
        headers = sign(secret, delivery.id, int(self._clock.now()), body)
        try:
            status = self._send(delivery.url, body, headers)
        except DreamError as exc:
            self._try_again(delivery, str(exc))
            return
        if 200 <= status < 300:
            self._storage.delete([object_keys.webhook(delivery.id)])
            log.info("webhook_delivered", delivery=delivery.id, attempts=delivery.attempts + 1)
        elif status == GONE:
            self._give_up(delivery, "The receiver answered 410 (gone).")
        else:
            self._try_again(delivery, f"The receiver answered {status}.")

    def _try_again(self, delivery: Delivery, why: str) -> None:
        if delivery.attempts >= len(WAITS_S):
            self._give_up(delivery, why)
            return
        if self._storage.size(object_keys.webhook(delivery.id)) is None:  # another caretaker has delivered it
            return
        due_at = self._clock.now() + WAITS_S[delivery.attempts]
        later = delivery.model_copy(update={"attempts": delivery.attempts + 1, "due_at": due_at})
        self._storage.put(
            object_keys.webhook(delivery.id), later.model_dump_json().encode(), content_type="application/json"
        )
        log.info("webhook_attempt_failed", delivery=delivery.id, attempts=later.attempts, reason=why)

    def _give_up(self, delivery: Delivery, why: str) -> None:
        self._storage.delete([object_keys.webhook(delivery.id)])
        log.warning("webhook_abandoned", delivery=delivery.id, attempts=delivery.attempts + 1, reason=why)


def _queue(
    storage: ObjectStorage, job_id: str, event: WebhookEvent, *, retry_count: int, at: float, more: dict[str, Any]
) -> None:
    manifest = JobRecords(storage).manifest(job_id)
    webhook = manifest.webhook if manifest else None
    if manifest is None or webhook is None or event not in webhook.events:
        return
    if storage.size(object_keys.pending(job_id, retry_count)) is None:
        return
    data = {"id": manifest.id, "kind": manifest.kind, "retries": retry_count, **more, "link": f"/v1/jobs/{manifest.id}"}
    delivery = Delivery(
        id=f"{manifest.id}-{retry_count}-{event}",
        owner=manifest.owner,
        url=webhook.url,
        body=json.dumps({"type": f"job.{event}", "timestamp": at, "data": data}),
        due_at=at,
    )
    document = delivery.model_dump_json().encode()
    storage.put(object_keys.webhook(delivery.id), document, content_type="application/json", if_absent=True)
