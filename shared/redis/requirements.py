"""Checks that Redis meets the service's requirements, for start-up and `dream-worker doctor` alike."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

import redis

MINIMUM_VERSION = (6, 2)


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
        info = cast(dict[str, Any], client.info())
    except redis.AuthenticationError as exc:
        return [
            Unmet(
                requirement="password",
                problem=f"Redis refuses the password: {_sentence(exc)}",
                remedy="Put the right one into DREAM_REDIS_URL.",
            )
        ]
    except redis.exceptions.NoPermissionError as exc:
        return [
            Unmet(
                requirement="permissions",
                problem=f"The Redis user lacks a permission: {_sentence(exc)}",
                remedy="Grant the commands and keys that docs/REDIS.md lists.",
            )
        ]
    except redis.AuthenticationWrongNumberOfArgsError as exc:
        return [
            Unmet(
                requirement="password",
                problem=f"Redis refuses the login: {_sentence(exc)}",
                remedy="Leave user name or password out of DREAM_REDIS_URL, or set both.",
            )
        ]
    return list(_unmet_by(info))


def _unmet_by(info: Mapping[str, Any]) -> Iterator[Unmet]:
    mode = info.get("redis_mode") or info.get("server_mode", "standalone")  # Valkey 9 renamed it
    if mode == "sentinel":
        yield Unmet(
            requirement="mode",
            problem="This is a Sentinel, not a Redis server.",
            remedy="Use DREAM_REDIS_URL=redis+sentinel://host:26379/name/0, with the name of the master.",
        )
        return
    if mode == "cluster":
        yield Unmet(
            requirement="mode",
            problem="This is a Redis cluster; the scripts use keys of several slots.",
            remedy="Use a single primary, with replicas or Sentinel if you like: it serves a thousand workers.",
        )
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


def _sentence(exc: Exception) -> str:
    return f"{str(exc).rstrip('.')}."
