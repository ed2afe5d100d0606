"""Connections to Redis, to a single server or through Sentinel."""

from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from shared.redis.address import SENTINEL_SCHEME, SentinelAddress
from shared.settings import Settings


def connect(settings: Settings, *, retries: int = 1, decode: bool = True) -> redis.Redis:
    """Creates a client without calling Redis; a dead connection is noticed within `redis_timeout_s`.

    decode: whether answers are text; otherwise they are bytes.
    retries: attempts on a fresh connection when a call finds its connection closed; callers know to wait longer.
    Through Sentinel, every new connection asks for the current master, so a failover needs no restart.
    """
    timeouts = _timeouts(settings)
    options: dict[str, Any] = {
        **timeouts,
        "decode_responses": decode,
        "health_check_interval": 15,
        "retry": Retry(NoBackoff(), retries),
    }
    address = SentinelAddress.parse(settings.redis_url)
    if address is None:
        return redis.Redis.from_url(settings.redis_url, **options)
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(address.sentinels),
        sentinel_kwargs={**timeouts, **address.sentinel_options},
        username=address.username,
        password=address.password,
        db=address.database,
        **options,
    )
    return cast(redis.Redis, sentinel.master_for(address.master))  # type: ignore[no-untyped-call]


def rate_limit_storage(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Returns address and options of the same Redis as the `limits` library takes them."""
    address = SentinelAddress.parse(settings.redis_url)
    if address is None:
        return settings.redis_url, _timeouts(settings)
    hosts = ",".join(f"{host}:{port}" for host, port in address.sentinels)
    options = {
        **_timeouts(settings),
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "sentinel_kwargs": {"username": None, "password": address.sentinel_password},
        "use_replicas": False,  # a replica lags behind the counter that was just incremented
    }
    return f"{SENTINEL_SCHEME}://{hosts}/{address.master}", options


def _timeouts(settings: Settings) -> dict[str, Any]:
    return {
        "socket_timeout": settings.redis_timeout_s,
        "socket_connect_timeout": settings.redis_timeout_s,
        "socket_keepalive": True,
    }
