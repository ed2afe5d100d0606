"""Wakes those who wait for a job to change: one connection to Redis for the whole process, however many they are."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from shared.job_events import Subscription
from shared.settings import Settings

CHANNEL = "dream:changes"
LOOK_S = 5.0  # between two looks at whether we still are connected
RETRY_S = 1.0

logger = logging.getLogger(__name__)


class EventSubscription:
    """A subscription on an event."""

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
        self._sleepers: dict[str, set[EventSubscription]] = {}
        self._thread: threading.Thread | None = None
        self.closed = False

    @classmethod
    def connect(cls, settings: Settings) -> "RedisSubscriptions":
        client = redis.Redis.from_url(
            settings.redis_url,
            decode_responses=True,
            socket_timeout=settings.redis_timeout_s,
            socket_connect_timeout=settings.redis_timeout_s,
            socket_keepalive=True,
            health_check_interval=15,
            retry=Retry(NoBackoff(), 0),
        )
        return cls(client)

    @contextmanager
    def subscribe(self, job_id: str) -> Iterator[Subscription]:
        sleeper = EventSubscription()
        with self._lock:
            self._sleepers.setdefault(job_id, set()).add(sleeper)
            if self._thread is None:
                self._thread = threading.Thread(target=self._listen, name="changes", daemon=True)
                self._thread.start()
        try:
            yield sleeper
        finally:
            with self._lock:
                self._sleepers[job_id].discard(sleeper)
                if not self._sleepers[job_id]:
                    del self._sleepers[job_id]

    def close(self) -> None:
        self.closed = True
        self._wake_all()

    def _listen(self) -> None:
        pause = threading.Event()
        while not self.closed:
            try:
                self._listen_until_it_breaks()
            except (redis.RedisError, OSError) as exc:
                logger.warning("changes are not heard: %s", exc)
            pause.wait(RETRY_S)

    def _listen_until_it_breaks(self) -> None:
        with self._redis.pubsub(ignore_subscribe_messages=False) as pubsub:  # type: ignore[no-untyped-call]
            pubsub.subscribe(CHANNEL)
            while not self.closed:
                message = pubsub.get_message(timeout=LOOK_S)
                if message and message["type"] == "subscribe":
                    self._wake_all()  # what happened meanwhile went unheard
                elif message and message["type"] == "message":
                    self._wake(message["data"])

    def _wake(self, job_id: str) -> None:
        with self._lock:
            for sleeper in self._sleepers.get(job_id, ()):
                sleeper.wake()

    def _wake_all(self) -> None:
        with self._lock:
            for sleepers in self._sleepers.values():
                for sleeper in sleepers:
                    sleeper.wake()
