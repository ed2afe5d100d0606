"""Queues webhooks about jobs in S3 and signs them. `dispatcher.py` delivers them.

A message is written when its event happens: `started` by the worker that has claimed the job, `completed` by the
process that closes the outcome, before it removes `pending`. So after any crash the reconciliation of `pending` finds
the messages that are still missing. A job's messages are delivered in the order of its events.
Format and signatures: https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from shared.interfaces import ObjectStorage
from shared.jobs.job import Document, Job, JobState, Outcome, WebhookEvent
from shared.s3 import object_keys
from shared.s3.job_records import JobRecords
from shared.webhooks.message import WebhookMessage

SECRET = "webhooks"  # noqa: S105 - the name of the secret from which owners' secrets are derived
MESSAGE_ID = re.compile(r"([0-9A-Z]+)-(\d+)-(started|completed)")


@dataclass(frozen=True, order=True)
class MessageId:
    """The id of a message, which receivers see. Sorts by job, and within a job by event."""

    job_id: str
    retry_count: int
    is_completed: bool

    @classmethod
    def parse(cls, text: str) -> "MessageId | None":
        found = MESSAGE_ID.fullmatch(text)
        return cls(found[1], int(found[2]), found[3] == "completed") if found else None

    @property
    def completed(self) -> "MessageId":
        """The id of the message that ends what this one starts."""
        return replace(self, is_completed=True)

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
