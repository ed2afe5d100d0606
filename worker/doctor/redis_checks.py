"""Checks whether Redis can hold the live state of jobs."""

import statistics
import time
from collections.abc import Iterator, Mapping
from typing import Any, cast

import redis

from shared.errors import StoreRefusing, StoreUnavailable, UnfitService
from shared.redis.address import describe
from shared.redis.job_store import RedisJobStore
from shared.redis.requirements import unmet
from shared.settings import Settings
from worker.doctor.finding import Finding, error, ok, warning

PINGS = 20
SLOW_S = 0.010  # a job needs a few dozen calls, most of them during the dream
SKEW_S = 2.0
FULL_SHARE = 0.8  # of maxmemory


def check_redis(settings: Settings) -> Iterator[Finding]:
    """Checks connection, writes, version, persistence, eviction, latency and clock, and that a caretaker runs."""
    try:
        yield from _check(RedisJobStore.connect(settings), describe(settings.redis_url))
    except UnfitService as exc:
        yield error("redis", str(exc), "docs/REDIS.md has all forms of DREAM_REDIS_URL.")
    except (redis.RedisError, StoreUnavailable) as exc:
        said = exc if isinstance(exc, redis.RedisError) else exc.__cause__
        yield error(
            "redis",
            f"Redis at {describe(settings.redis_url)} does not answer: {str(said).rstrip('.')}.",
            "Start it, or correct DREAM_REDIS_URL (redis://:password@host:6379/0; docs/REDIS.md has all forms).",
        )


def _check(store: RedisJobStore, place: str) -> Iterator[Finding]:
    client = store.redis
    if problems := unmet(client):
        yield from (
            error(f"redis {found.requirement}", f"{place}: {found.problem}", found.remedy) for found in problems
        )
        return
    info = cast(dict[str, Any], client.info())
    try:
        store.check_writes()
    except StoreRefusing as exc:
        yield error("redis writes", f"{place}: {exc}", "Free memory or disk, or see Redis's log.")
        return
    yield ok("redis version", f"Redis {info['redis_version']} at {place}.")
    yield ok("redis eviction", "It never evicts keys.")
    yield from check_info(info)
    yield _check_latency(client)
    yield _check_clock(client)
    yield _check_caretaker(client)


def check_info(info: Mapping[str, Any]) -> Iterator[Finding]:
    """Checks persistence and memory, as INFO reports them."""
    if int(info.get("aof_enabled", 0)):
        yield ok("redis append-only", "It writes an append-only file.")
    else:
        yield warning(
            "redis append-only",
            "It writes no append-only file: after a restart, all state has to be rebuilt from S3, which takes a while.",
            "Set appendonly to yes.",
        )
    if int(info.get("aof_enabled", 0)) and info.get("aof_last_write_status", "ok") != "ok":
        yield error(
            "redis append-only", "Its last write to the append-only file failed.", "Check its disk and its log."
        )
    limit, used = int(info.get("maxmemory", 0)), int(info.get("used_memory", 0))
    if limit and used > FULL_SHARE * limit:
        yield warning(
            "redis memory",
            f"{used / limit:.0%} of its memory is used; once full, it refuses jobs.",
            "Raise maxmemory, or set DREAM_RETENTION_DAYS to remove ended jobs.",
        )


def _check_latency(client: redis.Redis) -> Finding:
    times_s = []
    for _ in range(PINGS):
        began = time.perf_counter()
        client.ping()
        times_s.append(time.perf_counter() - began)
    median_ms = statistics.median(times_s) * 1000
    if median_ms > SLOW_S * 1000:
        return warning(
            "redis latency",
            f"A call takes {median_ms:.1f} ms.",
            "Put Redis into the same region as the api and workers.",
        )
    return ok("redis latency", f"A call takes {median_ms:.2f} ms.")


def _check_clock(client: redis.Redis) -> Finding:
    seconds, micros = cast(tuple[int, int], client.time())
    skew_s = time.time() - (seconds + micros / 1e6)
    if abs(skew_s) > SKEW_S:
        return warning(
            "redis clock",
            f"Its clock and this machine's are {abs(skew_s):.1f} s apart; deadlines and ages are wrong by as much.",
            "Synchronize both by NTP.",
        )
    return ok("redis clock", f"Its clock agrees within {abs(skew_s):.2f} s.")


def _check_caretaker(client: redis.Redis) -> Finding:
    if client.exists("dream:leader"):
        return ok("caretaker", "A caretaker is running.")
    return warning(
        "caretaker",
        "No caretaker is running: jobs of dead workers would stay `running`.",
        "Start at least one: python -m worker.recovery.caretaker.",
    )
