"""Checks that Redis meets the service's requirements, for start-up and `dream-worker doctor` alike."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis
from redis.sentinel import MasterNotFoundError, SentinelConnectionPool

from shared.redis.scripts import refusal_of

MINIMUM_VERSION = (6, 2)
WRITE_CHECK, WRITE_CHECK_MS = "dream:write-check", 60_000  # the key that a check writes, and how long it stays

IS_SENTINEL = "This is a Sentinel, not a Redis server"
USE_SENTINEL = "Use DREAM_REDIS_URL=redis+sentinel://host:26379/name/0, with the name of the master."
IS_CLUSTER = "This is a Redis cluster; the scripts use keys of several slots"
USE_PRIMARY = "Use a single primary, with replicas or Sentinel if you like: it serves a thousand workers."
PERMISSION = "The Redis user lacks a permission"
GRANT = "Grant the commands and keys that docs/REDIS.md lists."
# Kind of error, words in it, requirement, problem, remedy. Errors on connecting come before INFO can say the mode.
REFUSED: tuple[tuple[type[redis.RedisError], str, str, str, str], ...] = (
    (
        redis.AuthenticationWrongNumberOfArgsError,
        "",
        "password",
        "Redis refuses the login",
        "Leave user name or password out of DREAM_REDIS_URL, or set both.",
    ),
    (
        redis.AuthenticationError,
        "",
        "password",
        "Redis refuses the password",
        "Put the right one into DREAM_REDIS_URL.",
    ),
    (redis.exceptions.NoPermissionError, "", "permissions", PERMISSION, GRANT),
    (redis.ResponseError, "NOPERM|user executing the script|ACL failure in script", "permissions", PERMISSION, GRANT),
    (
        redis.ResponseError,
        "DB index is out of range",
        "database",
        "Redis has no database of that number",
        "Correct the number at the end of DREAM_REDIS_URL, or raise `databases` in redis.conf.",
    ),
    (redis.ResponseError, "SELECT is not allowed in cluster mode", "mode", IS_CLUSTER, USE_PRIMARY),
    (redis.ResponseError, "unknown command .SELECT", "mode", IS_SENTINEL, USE_SENTINEL),
    (
        redis.ResponseError,
        "unknown command .SENTINEL",
        "mode",
        "This is a Redis server, not a Sentinel",
        "Use DREAM_REDIS_URL=redis://host:6379/0, or the sentinels' port, 26379.",
    ),
    (
        redis.ResponseError,
        "unknown command",
        "commands",
        "Redis lacks a command",
        "Use a server that has the commands that docs/REDIS.md lists, under their own names.",
    ),
)


@dataclass(frozen=True, kw_only=True)
class Unmet:
    """A requirement that this Redis doesn't meet and that waiting can't change."""

    requirement: str  # a word or two
    problem: str  # a sentence
    remedy: str  # a sentence


def unmet(client: redis.Redis) -> list[Unmet]:
    """Asks Redis and returns what it lacks.

    Raises redis.RedisError where waiting may help: Redis does not answer, or is still loading its data.
    """
    try:
        problems = list(_unmet_by(cast(dict[str, Any], client.info())))
        if isinstance(getattr(client, "connection_pool", None), SentinelConnectionPool):
            # During a failover, the sentinels may still name the old master.
            problems = [problem for problem in problems if problem.requirement != "role"]
        if not problems:
            _run_a_script(client)
    except redis.RedisError as exc:
        refused = _unknown_to_sentinels(client) if isinstance(exc, MasterNotFoundError) else _refused(exc)
        if refused is None:
            raise
        return [refused]
    return problems


def _run_a_script(client: redis.Redis) -> None:
    """Writes a key by a script, as every change of a job does. A full or failing Redis may accept it later."""
    try:
        client.eval("redis.call('set', KEYS[1], 1, 'px', ARGV[1])", 1, WRITE_CHECK, WRITE_CHECK_MS)
    except redis.RedisError as exc:
        if refusal_of(exc) is None:
            raise


def _refused(exc: redis.RedisError) -> Unmet | None:
    """Returns what an error says that waiting can't change; None if waiting may help."""
    for kind, words, requirement, problem, remedy in REFUSED:
        if isinstance(exc, kind) and re.search(words, str(exc)):
            return Unmet(requirement=requirement, problem=f"{problem}: {str(exc).rstrip(' .,?')}.", remedy=remedy)
    return None


def _unknown_to_sentinels(client: redis.Redis) -> Unmet | None:
    """Returns why the sentinels name no master; None if one knows it, as during a failover, or does not answer."""
    pool = cast(SentinelConnectionPool, client.connection_pool)
    for sentinel in pool.sentinel_manager.sentinels:
        try:
            if pool.service_name in sentinel.sentinel_masters():
                return None
        except redis.AuthenticationError as exc:
            return Unmet(
                requirement="password",
                problem=f"A Sentinel refuses the password: {str(exc).rstrip(' .,?')}.",
                remedy="Put the right one into ?sentinel_password= of DREAM_REDIS_URL, or leave it out.",
            )
        except redis.RedisError:
            return None
    return Unmet(
        requirement="master",
        problem=f"The sentinels watch no master of the name '{pool.service_name}'.",
        remedy="Correct the name in DREAM_REDIS_URL, redis+sentinel://host:26379/name/0.",
    )


def _unmet_by(info: Mapping[str, Any]) -> Iterator[Unmet]:
    mode = info.get("redis_mode") or info.get("server_mode", "standalone")  # Valkey 9 renamed it
    if mode == "sentinel":
        yield Unmet(requirement="mode", problem=f"{IS_SENTINEL}.", remedy=USE_SENTINEL)
        return
    if mode == "cluster":
        yield Unmet(requirement="mode", problem=f"{IS_CLUSTER}.", remedy=USE_PRIMARY)
    version = str(info["redis_version"])
    if tuple(int(part) for part in version.split(".")[:2]) < MINIMUM_VERSION:
        yield Unmet(requirement="version", problem=f"Redis {version} is too old.", remedy="Install Redis 6.2 or newer.")
    if info.get("role", "master") not in {"master", "primary"}:
        yield Unmet(
            requirement="role",
            problem="This Redis is a replica, which accepts no writes.",
            remedy="Point DREAM_REDIS_URL to the primary, or use redis+sentinel://.",
        )
    policy = info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        yield Unmet(
            requirement="eviction",
            problem=f"Redis evicts keys when its memory is full (maxmemory-policy {policy}): jobs would vanish.",
            remedy="Set maxmemory-policy to noeviction, in redis.conf or with CONFIG SET.",
        )
