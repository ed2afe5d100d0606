"""Delivers the queued webhooks: in the order of a job's events, several jobs at a time, with a day of retries."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import zip_longest
from typing import Protocol

import structlog

from shared.clock import Clock
from shared.errors import DreamError
from shared.interfaces import ObjectStorage
from shared.s3 import object_keys
from shared.webhooks.delivery import Delivery, MessageId, secret_of, sign

log = structlog.get_logger(__name__)

# Waits between tries, seconds: short at first, 23.5 hours in total.
WAITS_S = (5, 30, 120, 600, 1800, 3600, 7200, 14400, 28800, 28080)
STARTED_ATTEMPTS = 5  # of a "started" message while "completed" waits behind it: 13 minutes
AT_ONCE = 8
OWNERS_SHARE = 16  # of an owner's jobs in one round: slow receivers of one owner delay others by seconds only
UNREADABLE_S = 3600.0  # until a message that can't be read is reported again
GONE = 410  # HTTP 410: the receiver never wants this again


class Sender(Protocol):
    def __call__(self, url: str, body: bytes, headers: dict[str, str]) -> int:
        """Sends the request. Returns the receiver's HTTP status. Raises Undeliverable."""


@dataclass(frozen=True)
class _JobQueue:
    """The messages of one job that are not delivered yet."""

    first: Delivery
    followers: Sequence[str]  # keys, in the order of the job's events

    @property
    def has_completed(self) -> bool:
        """Tells whether the `completed` message of the same `retry_count` is queued too."""
        message = MessageId.parse(self.first.id)
        return message is not None and object_keys.webhook(str(message.completed)) in self.followers


class WebhookDispatcher:
    """Delivers due messages. May be interrupted, or deliver a message twice: the id lets receivers recognize it."""

    def __init__(
        self,
        *,
        storage: ObjectStorage,
        clock: Clock,
        send: Sender,
        master: Callable[[], bytes],
        on_progress: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepares delivery.   on_progress: called after every message."""
        self._storage = storage
        self._clock = clock
        self._send = send
        self._master = master
        self._on_progress = on_progress
        self._due_at: dict[str, float] = {}  # of messages that were read and are not due yet, by key

    def deliver_due(self) -> int:
        """Tries to deliver due messages, of several jobs at a time and each owner's in turn. Returns how many it tried.

        A job's next message waits for the one before it. A message that fails, for whatever reason, is tried again
        later and holds up no other job's.
        """
        queues = self._shares(self._read_due())
        with ThreadPoolExecutor(max_workers=AT_ONCE) as pool:
            return sum(pool.map(self._deliver_in_order, queues))

    def _read_due(self) -> Iterator[_JobQueue]:
        keys = set(self._storage.keys(object_keys.webhook("")))
        self._due_at = {key: due_at for key, due_at in self._due_at.items() if key in keys}
        for queued in _by_job(keys):
            for index, key in enumerate(queued):
                if self._due_at.get(key, 0.0) > self._clock.now():
                    break
                delivery = self._read(key)
                if delivery is None:  # delivered by another caretaker, or unreadable
                    continue
                if delivery.due_at <= self._clock.now():
                    yield _JobQueue(delivery, queued[index + 1 :])
                break

    def _read(self, key: str) -> Delivery | None:
        """Returns the message, None if it is gone or can't be read; remembers when it is due."""
        text = self._storage.get(key)
        self._on_progress()
        try:
            delivery = Delivery.model_validate_json(text) if text else None
        except ValueError:  # a document that this version cannot read
            log.exception("document_unreadable", item=key)
            self._due_at[key] = self._clock.now() + UNREADABLE_S
            return None
        if delivery and delivery.due_at > self._clock.now():
            self._due_at[key] = delivery.due_at
        return delivery

    def _shares(self, queues: Iterable[_JobQueue]) -> list[_JobQueue]:
        """Returns the jobs of this round, with each owner's spread over it."""
        by_owner: dict[str, list[_JobQueue]] = {}
        for queue in queues:
            if len(share := by_owner.setdefault(queue.first.owner, [])) < OWNERS_SHARE:
                share.append(queue)
        return [queue for turn in zip_longest(*by_owner.values()) for queue in turn if queue is not None]

    def _deliver_in_order(self, queue: _JobQueue) -> int:
        """Delivers a job's messages until one is not due or fails. Returns how many it tried."""
        tried = 0
        current: _JobQueue | None = queue
        while current is not None and not self._is_overtaken(current):
            tried += 1
            if not self._shielded(current):
                break
            current = self._next(current)
        return tried

    def _next(self, queue: _JobQueue) -> _JobQueue | None:
        for index, key in enumerate(queue.followers):
            if delivery := self._read(key):
                is_due = delivery.due_at <= self._clock.now()
                return _JobQueue(delivery, queue.followers[index + 1 :]) if is_due else None
        return None

    def _is_overtaken(self, queue: _JobQueue) -> bool:
        """Tells whether `completed` was or may have been delivered before this `started`; removes it if it was.

        An attempt that was frozen between its claim and this message may queue it long after another one has ended
        the job.
        """
        message = MessageId.parse(queue.first.id)
        if message is None or message.is_completed or queue.has_completed:
            return False
        if not self._has_ended(message):
            return False
        is_closed = self._storage.size(object_keys.pending(message.job_id, message.retry_count)) is None
        if is_closed and self._storage.size(object_keys.webhook(str(message.completed))) is None:
            self._storage.delete([object_keys.webhook(str(message))])
        return True

    def _has_ended(self, message: MessageId) -> bool:
        """Tells whether the job has an outcome at that `retry_count`, or had one: a delete leaves a tombstone alone."""
        ends = (object_keys.outcome(message.job_id, message.retry_count), object_keys.tombstone(message.job_id))
        return any(self._storage.size(key) is not None for key in ends)

    def _shielded(self, queue: _JobQueue) -> bool:
        try:
            return self._deliver(queue)
        except DreamError:
            raise  # S3 is unavailable
        except Exception as exc:
            log.exception("webhook_delivery_failed", delivery=queue.first.id)
            return self._try_again(queue, f"{type(exc).__name__} in the dispatcher.")
        finally:
            self._on_progress()

    def _deliver(self, queue: _JobQueue) -> bool:
        """Sends the first message. Returns True if it was delivered or given up, so that the next one may follow."""
        delivery = queue.first
        body = delivery.body.encode()
        secret = secret_of(delivery.owner, self._master())
        headers = sign(secret, delivery.id, int(self._clock.now()), body)
        try:
            status = self._send(delivery.url, body, headers)
        except DreamError as exc:
            return self._try_again(queue, str(exc))
        if 200 <= status < 300:
            self._storage.delete([object_keys.webhook(delivery.id)])
            log.info("webhook_delivered", delivery=delivery.id, attempts=delivery.attempts + 1)
            return True
        if status == GONE:
            return self._give_up(delivery, "The receiver answered 410 (gone).")
        return self._try_again(queue, f"The receiver answered {status}.")

    def _try_again(self, queue: _JobQueue, why: str) -> bool:
        """Postpones the first message, or gives it up after its last attempt. Returns True if it is given up.

        `started` ends early once `completed` waits behind it, which has its `started_at`.
        """
        delivery = queue.first
        if delivery.attempts >= (STARTED_ATTEMPTS - 1 if queue.has_completed else len(WAITS_S)):
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


def _by_job(keys: Iterable[str]) -> list[list[str]]:
    """Groups the keys by job, each job's in the order of its events."""
    jobs: dict[str, list[tuple[MessageId, str]]] = defaultdict(list)
    others = []
    for key in sorted(keys):
        message = MessageId.parse(key.removeprefix(object_keys.webhook("")))
        if message is None:  # of a version that names them differently
            others.append([key])
        else:
            jobs[message.job_id].append((message, key))
    return [[key for _, key in sorted(messages)] for messages in jobs.values()] + others
