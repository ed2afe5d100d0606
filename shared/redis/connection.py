"""Connections to Redis, to a single server or through Sentinel."""

from collections.abc import Mapping
from typing import Any, cast

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from shared.errors import UnfitService
from shared.redis.address import SENTINEL_SCHEME, SentinelAddress
from shared.settings import Settings


def connect(settings: Settings, *, retries: int = 1, decode: bool = True) -> redis.Redis:
    """Creates a client without calling Redis; a dead connection is noticed within `redis_timeout_s`.

    decode: whether answers are text; otherwise they are bytes.
    retries: attempts on a fresh connection when a call finds its connection closed; callers know to wait longer.
    Through Sentinel, every new connection asks for the current master, so a failover needs no restart.
    Raises UnfitService for an address with options that Redis's client does not know.
    """
    options: dict[str, Any] = {
        **_timeouts(settings),
        "decode_responses": decode,
        "health_check_interval": 15,
        "retry": Retry(NoBackoff(), retries),
    }
    address = SentinelAddress.parse(settings.redis_url)
    if address is None:
        return _connect(settings.redis_url, options)
    sentinel = Sentinel(  # type: ignore[no-untyped-call]
        list(address.sentinels),
        sentinel_kwargs=sentinel_options(settings, address),
        username=address.username,
        password=address.password,
        db=address.database,
        **options,
    )
    return cast(redis.Redis, sentinel.master_for(address.master))  # type: ignore[no-untyped-call]


def _connect(url: str, options: Mapping[str, Any]) -> redis.Redis:
    try:
        client = redis.Redis.from_url(url, **options)
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)  # without connecting
    except (redis.RedisError, TypeError, ValueError) as exc:
        raise UnfitService(f"An option of DREAM_REDIS_URL can't be used: {str(exc).rstrip('.')}.") from exc
    return client


def rate_limit_storage(settings: Settings) -> tuple[str, dict[str, Any]]:
    """Returns address and options of the same Redis as the `limits` library takes them."""
    address = SentinelAddress.parse(settings.redis_url)
    if address is None:
        return settings.redis_url, _timeouts(settings)
    options = {
        **_timeouts(settings),
        "db": address.database,
        "username": address.username,
        "password": address.password,
        "sentinel_kwargs": {**sentinel_options(settings, address), "username": None},
        "use_replicas": False,  # a replica lags behind the counter that was just incremented
    }
    return f"{SENTINEL_SCHEME}://{','.join(address.hosts)}/{address.master}", options


def sentinel_options(settings: Settings, address: SentinelAddress) -> dict[str, Any]:
    """Returns how to connect to the sentinels; one that does not answer is passed over after a single time limit."""
    return {**_timeouts(settings), "password": address.sentinel_password, "retry": Retry(NoBackoff(), 0)}


def _timeouts(settings: Settings) -> dict[str, Any]:
    return {
        "socket_timeout": settings.redis_timeout_s,
        "socket_connect_timeout": settings.redis_timeout_s,
        "socket_keepalive": True,
    }
