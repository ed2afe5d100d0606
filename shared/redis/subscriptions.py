"""Subscriptions to job changes: one Redis connection per process, however many subscribers there are."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis
import structlog

from shared.jobs.job_events import Subscription
from shared.redis.connection import connect
from shared.settings import Settings

CHANNEL = "dream:changes"
CHECK_S = 5.0  # between two checks of the connection
RETRY_S = 1.0

log = structlog.get_logger(__name__)


class EventSubscription:
    """Subscription on a threading.Event."""

    def __init__(self) -> None:
        self._event = threading.Event()

    def wait(self, timeout_s: float) -> bool:
        woken = self._event.wait(timeout_s)
        self._event.clear()
        return woken

    def wake(self) -> None:
        self._event.set()


class RedisSubscriptions:
    """JobSubscriptions on Redis pub/sub. The thread starts with the first subscription, so after a fork."""

    def __init__(self, client: redis.Redis) -> None:
        self._redis = client
        self._lock = threading.Lock()
        self._subscriptions: dict[str, set[EventSubscription]] = {}
        self._thread: threading.Thread | None = None
        self.closed = False

    @classmethod
    def connect(cls, settings: Settings) -> "RedisSubscriptions":
        return cls(connect(settings, retries=0))

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Subscription]:
        subscription = EventSubscription()
        with self._lock:
            self._subscriptions.setdefault(job_id, set()).add(subscription)
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)
                self._thread.start()
        try:
            yield subscription
        finally:
            with self._lock:
                self._subscriptions[job_id].discard(subscription)
                if not self._subscriptions[job_id]:
                    del self._subscriptions[job_id]

    def close(self) -> None:
        self.closed = True
        self._wake_all()

    def _listen(self) -> None:
        pause = threading.Event()
        while not self.closed:
            try:
                self._listen_on_one_connection()
            except (redis.RedisError, OSError) as exc:
                log.warning("subscription_lost", reason=str(exc))
            pause.wait(RETRY_S)

    def _listen_on_one_connection(self) -> None:
        with self._redis.pubsub(ignore_subscribe_messages=False) as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(CHANNEL)
            while not self.closed:
                message = pubsub.get_message(timeout=CHECK_S)
                if message and message["type"] == "subscribe":
                    self._wake_all()  # changes since the last connection were missed
                elif message and message["type"] == "message":
                    self._wake(message["data"])

    def _wake(self, job_id: str) -> None:
        with self._lock:
            for subscription in self._subscriptions.get(job_id, ()):
                subscription.wake()

    def _wake_all(self) -> None:
        with self._lock:
            for subscriptions in self._subscriptions.values():
                for subscription in subscriptions:
                    subscription.wake()
