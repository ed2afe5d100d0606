"""Runs the Lua scripts and translates Redis's errors."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any, cast

import redis
import structlog

from shared import dependency_metrics
from shared.errors import StoreRefusing, StoreUnavailable

SCRIPTS = (
    *(
        "create",
        "claim",
        "renew",
        "checkpoint_stored",
        "release",
        "expire_lease",
        "finish",
        "cancel",
        "retry",
        "forget",
    ),
    *("fix_tile_size", "expire", "register_worker", "lead", "preview_stored", "rebuild_turns", "admit", "end_rebuild"),
    "rename",
)

# Full, not able to save, a replica, or without its replicas: reads work, and writes may work again without a restart.
CODES = ("OOM", "MISCONF", "READONLY", "NOREPLICAS")
# redis-py removes the code of two of them.
REFUSAL = re.compile(rf"\b(?:{'|'.join(CODES)}) .*|.*read only replica.*|.*'maxmemory'.*", re.DOTALL)

log = structlog.get_logger(__name__)


@contextmanager
def translated() -> Iterator[None]:
    """Translates every error of Redis or of the connection to it into StoreUnavailable or StoreRefusing."""
    try:
        yield
    except redis.RedisError as exc:
        dependency_metrics.REDIS_ERRORS.labels(type(exc).__name__).inc()
        refusal = refusal_of(exc)
        if refusal is not None:
            raise refusal from exc
        if isinstance(exc, redis.ResponseError):
            log.exception("redis_command_refused")  # a permission is missing, or we have a bug
        raise StoreUnavailable from exc


def refusal_of(exc: Exception) -> StoreRefusing | None:
    """Returns the error with what Redis said, if it answers but refuses writes; None for any other error."""
    said = REFUSAL.search(str(exc))
    if said is None:
        return None
    text = said[0].partition(" script: ")[0][:200]
    return StoreRefusing(text if text.startswith(CODES) or "'maxmemory'" not in text else f"OOM {text}")


class RedisScripts:
    """Runs the scripts. Safe to share between threads, but not across a fork."""

    def __init__(self, client: redis.Redis) -> None:
        self.redis = client
        files = resources.files("shared.redis") / "lua"
        prelude = (files / "prelude.lua").read_text()
        self._scripts = {
            name: client.register_script(prelude + (files / f"{name}.lua").read_text()) for name in SCRIPTS
        }

    def _run(self, script: str, *args: str | float) -> Any:  # noqa: ANN401 - each script returns its own shape
        return self._scripts[script](args=args)

    def _now(self) -> float:
        seconds, micros = cast(tuple[int, int], self.redis.time())
        return seconds + micros / 1e6
