"""Runs the Lua scripts and translates Redis's errors."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from typing import Any, cast

import redis
import structlog

from shared import dependency_metrics
from shared.errors import StoreUnavailable

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

log = structlog.get_logger(__name__)


@contextmanager
def translated() -> Iterator[None]:
    """Translates every error of Redis or of the connection to it into StoreUnavailable."""
    try:
        yield
    except redis.RedisError as exc:
        dependency_metrics.REDIS_ERRORS.labels(type(exc).__name__).inc()
        if isinstance(exc, redis.ResponseError):  # Redis refuses: it is full or read-only, or we have a bug
            log.exception("redis_command_refused")
        raise StoreUnavailable from exc


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
