"""Is this Redis one to trust with the live state?"""

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast
from urllib.parse import urlsplit

import redis

from shared.redis.job_store import MINIMUM_VERSION, RedisJobStore
from shared.settings import Settings
from worker.doctor.finding import Finding, bad, doubtful, good

PINGS = 20
SLOW_S = 0.010  # a job costs a few dozen calls, most of them beside the dream
SKEW_S = 2.0
FULL = 0.8  # of maxmemory


def look(settings: Settings) -> Iterator[Finding]:
    """Reachable, new enough, keeping what it is told, near, on time, and with a caretaker."""
    where = urlsplit(settings.redis_url)
    place = f"{where.hostname}:{where.port or 6379}"
    client = RedisJobStore.connect(settings).redis
    try:
        info = cast(dict[str, Any], client.info())
    except redis.AuthenticationError as exc:
        yield bad(
            "redis",
            f"Redis at {place} refuses the password: {str(exc).rstrip('.')}.",
            "Put the right one into DREAM_REDIS_URL.",
        )
        return
    except redis.RedisError as exc:
        yield bad(
            "redis",
            f"Redis at {place} does not answer: {str(exc).rstrip('.')}.",
            "Start it, or correct DREAM_REDIS_URL (redis://:password@host:6379/0; rediss:// for TLS, and at its end "
            "?ssl_ca_certs=FILE for a CA of your own).",
        )
        return
    yield from judge(info, place)
    yield _latency(client)
    yield _clock(client)
    yield _caretaker(client)


def judge(info: Mapping[str, Any], place: str) -> Iterator[Finding]:
    """What INFO says."""
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
        yield bad("redis version", f"Redis {version} at {place} is too old.", "Install 6.2 or newer.")
    else:
        yield good("redis version", f"Redis {version} at {place}.")
    if info.get("redis_mode") == "cluster":
        yield bad(
            "redis mode",
            "It is a cluster; our scripts touch keys of several slots.",
            "Use a single primary, with replicas or Sentinel if you like: it serves a thousand workers.",
        )
    if info.get("role", "master") != "master":
        yield bad("redis role", "It is a replica, which takes no writes.", "Point DREAM_REDIS_URL to the primary.")
    policy = info["maxmemory_policy"]
    if policy == "noeviction":
        yield good("redis eviction", "It evicts nothing.")
    else:
        yield bad(
            "redis eviction",
            f"It evicts keys when memory is full (maxmemory-policy {policy}): jobs would vanish until rebuilt.",
            "Set maxmemory-policy to noeviction, in redis.conf or with CONFIG SET.",
        )
    if int(info.get("aof_enabled", 0)):
        yield good("redis append-only", "It keeps an append-only file.")
    else:
        yield doubtful(
            "redis append-only",
            "It keeps no append-only file: after a restart everything is rebuilt from S3, which takes a while.",
            "Set appendonly to yes.",
        )
    if int(info.get("aof_enabled", 0)) and info.get("aof_last_write_status", "ok") != "ok":
        yield bad("redis append-only", "Its last write to the append-only file failed.", "Look at its disk and log.")
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if limit and used > FULL * limit:
        yield doubtful(
            "redis memory",
            f"{used / limit:.0%} of its memory is used; once full, it refuses jobs.",
            "Raise maxmemory, or set DREAM_RETENTION_DAYS so that ended jobs go.",
        )


def _latency(client: redis.Redis) -> Finding:
    times_s = []
    for _ in range(PINGS):
        begun = time.perf_counter()
        client.ping()
        times_s.append(time.perf_counter() - begun)
    median_ms = statistics.median(times_s) * 1000
    if median_ms > SLOW_S * 1000:
        return doubtful(
            "redis latency",
            f"A call takes {median_ms:.1f} ms.",
            "Put Redis into the same region as the api and workers.",
        )
    return good("redis latency", f"A call takes {median_ms:.2f} ms.")


def _clock(client: redis.Redis) -> Finding:
    seconds, micros = cast(tuple[int, int], client.time())
    skew_s = time.time() - (seconds + micros / 1e6)
    if abs(skew_s) > SKEW_S:
        return doubtful(
            "redis clock",
            f"Its clock and this machine's are {abs(skew_s):.1f} s apart; deadlines and ages come out wrong by that.",
            "Let both keep time by NTP.",
        )
    return good("redis clock", f"Its clock agrees within {abs(skew_s):.2f} s.")


def _caretaker(client: redis.Redis) -> Finding:
    if client.exists("dream:leader"):
        return good("caretaker", "A caretaker leads.")
    return doubtful(
        "caretaker",
        "No caretaker leads: jobs of dead workers would stay `running`.",
        "Start at least one: python -m worker.recovery.caretaker.",
    )
