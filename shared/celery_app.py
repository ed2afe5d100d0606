"""The Celery application, wake-ups, which carry no job and only say that there is work, and the queues of tiles."""

from collections.abc import Iterable
from itertools import product

import redis
from celery import Celery
from kombu import Exchange, Queue
from kombu.exceptions import OperationalError

from shared.errors import StoreUnavailable
from shared.redis.address import SentinelAddress
from shared.redis.connection import sentinel_options
from shared.redis.job_store import RedisJobStore
from shared.redis.scripts import refusal_of
from shared.settings import Settings

QUEUE = "dream"  # the Redis list's name
TASK = "dream.work"
TILE_TASK = "dream.compute_tile"
TILE_QUEUE_EXPIRES_S = 120.0  # a queue that nobody sends to or receives from


def make_app(settings: Settings) -> Celery:
    """Creates the Celery application, configured alike for senders and workers."""
    sentinel = SentinelAddress.parse(settings.redis_url)
    broker = sentinel.broker_url() if sentinel else settings.redis_url
    through_sentinel = (
        {"master_name": sentinel.master, "sentinel_kwargs": sentinel_options(settings, sentinel)} if sentinel else {}
    )
    app = Celery("dreamqueue", broker=broker, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_ignore_result=True,  # a Redis result backend would subscribe inside the API process and leak
        task_store_errors_even_if_ignored=False,
        task_acks_late=False,  # recovery goes by lease; after a dropped connection late acks run a job twice
        worker_disable_prefetch=True,
        worker_prefetch_multiplier=1,
        worker_pool="prefork",
        worker_concurrency=1,
        worker_pool_start_method="spawn",
        worker_proc_alive_timeout=900.0,  # a child loads TensorFlow first; 4 s, the default, kills it in a loop
        worker_cancel_long_running_tasks_on_connection_loss=False,
        worker_send_task_events=False,
        worker_hijack_root_logger=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_channel_error_retry=True,  # a Redis that refuses writes would end the parent: "Unrecoverable error"
        broker_connection_timeout=settings.redis_timeout_s,
        broker_transport_options={
            "socket_timeout": settings.redis_timeout_s,  # kombu's default waits forever on a dead connection
            "socket_connect_timeout": settings.redis_timeout_s,
            "socket_keepalive": True,
            "health_check_interval": 15,
            "visibility_timeout": 3600,
            "queue_order_strategy": "priority",  # a worker receives tiles only while no wake-up waits
            **through_sentinel,
        },
    )
    return app


def tile_queue(helpers: str, model: str) -> Queue:
    """Returns the queue of tiles for workers that serve that model.

    helpers: their numerics, or what identifies those of one host.
    """
    # One exchange each, because kombu removes the bindings of an exchange together, once all are unused.
    exchange = Exchange(f"dream.tiles.{helpers}")
    name = f"{exchange.name}.{model}"
    return Queue(name, exchange, routing_key=name, expires=TILE_QUEUE_EXPIRES_S)


def receive_tiles(app: Celery, helpers: Iterable[str], models: Iterable[str]) -> None:
    """Has the application's worker receive those models' tiles too, after wake-ups, as one of those helpers."""
    app.conf.task_queues = [Queue(QUEUE, Exchange(QUEUE), routing_key=QUEUE)]
    app.conf.task_queues += [tile_queue(name, model) for name, model in product(helpers, models)]


class CeleryNotifier:
    """Notifier on Celery's Redis transport."""

    def __init__(self, app: Celery, store: RedisJobStore) -> None:
        self._app = app
        self._store = store

    @classmethod
    def connect(cls, settings: Settings) -> "CeleryNotifier":
        return cls(make_app(settings), RedisJobStore.connect(settings))

    def notify_workers(self, times: int = 1) -> None:
        try:
            with self._app.producer_pool.acquire(block=True, timeout=3) as producer:
                for _ in range(times):
                    # No retry: the caretaker sends the wake-ups that are missing.
                    self._app.send_task(TASK, queue=QUEUE, producer=producer, ignore_result=True, retry=False)
        except (OperationalError, redis.RedisError) as exc:
            raise refusal_of(exc) or StoreUnavailable() from exc

    def pending_wake_ups(self) -> int:
        return self._store.length(QUEUE)
