"""Passes windows and answers between workers: pixels as short-lived keys in Redis, requests as Celery tasks.

A window's key belongs to whoever removes it. So a tile is either taken by one helper or withdrawn by its coordinator.
Pixels travel in pieces, which Redis doesn't write to its append-only file. Where the request names a memory that both
workers map, the key only says who has the window.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import resources
from typing import cast

import numpy as np
import redis
from celery import Celery
from kombu.exceptions import OperationalError

from shared.celery_app import TILE_TASK, make_app, tile_queue
from shared.errors import StoreUnavailable
from shared.redis.connection import connect
from shared.redis.scripts import translated
from shared.settings import Settings
from worker.dream.types import Image
from worker.sharing import shared_memory
from worker.sharing.messages import TileAnswer, TileRequest, joined, pieces

KEEP_MS = 60_000  # pixels that nobody comes for disappear; longer than a tile takes on a slow helper
IN_MEMORY = b"1"  # takes the pixels' place in Redis
LONGEST_WAIT_S = 1.0  # below redis_timeout_s
MOST_MEMORY = 0.8  # of Redis's maxmemory, beyond which no tiles are sent: jobs need the rest


class TileExchange:
    """Is safe to share between threads. Every call raises StoreUnavailable when Redis does not serve it."""

    def __init__(self, client: redis.Redis, app: Celery) -> None:
        self._redis = client  # answers in bytes
        self._app = app
        script = resources.files("shared.redis") / "lua" / "append_pixels.lua"
        self._append = client.register_script(script.read_text())

    @classmethod
    def connect(cls, settings: Settings) -> "TileExchange":
        return cls(connect(settings, decode=False), make_app(settings))

    # --- called by the coordinator ---

    @translated()
    def send_guide(self, job_id: str, claim: str, guide: Image) -> None:
        """Stores the guide that helpers of this attempt need, or keeps it stored."""
        key = _key("guide", job_id, claim)
        if not self._redis.pexpire(key, KEEP_MS):
            self._store(key, guide)

    def send(self, request: TileRequest, window: Image, helpers: str) -> None:
        """Stores the window, unless the request's memory has it, and adds the request to those helpers' queue."""
        with translated():
            self._store(_window_key(request), window if request.memory is None else None)
        with _broker_errors(), self._app.producer_pool.acquire(block=True, timeout=3) as producer:
            self._app.send_task(
                TILE_TASK,
                kwargs={"request": request.model_dump(mode="json")},
                queue=tile_queue(helpers, request.model),  # type: ignore[arg-type]  # a Queue is as good as its name
                producer=producer,
                ignore_result=True,
                retry=False,
            )

    @translated()
    def withdraw(self, request: TileRequest) -> bool:
        """Removes the window. Returns False if a helper has taken it."""
        return bool(self._redis.delete(_window_key(request)))

    @translated()
    def receive(self, job_id: str, claim: str) -> TileAnswer | None:
        """Waits for an answer to this attempt's requests, for a second at most. Raises ValueError for another one's."""
        found = cast(
            tuple[bytes, bytes] | None, self._redis.blpop([_key("answers", job_id, claim)], timeout=LONGEST_WAIT_S)
        )
        return TileAnswer.unpack(found[1]) if found else None

    @translated()
    def core(self, request: TileRequest) -> Image:
        """Removes and returns the gradient that was computed for a request, (h, w, 3). Raises ValueError without it."""
        return joined(self._removed(_core_key(request)), *request.core_shape)

    @translated()
    def close(self, job_id: str, claim: str) -> None:
        """Removes what is left of this attempt's exchange."""
        self._redis.delete(_key("answers", job_id, claim), _key("guide", job_id, claim))

    @translated()
    def has_memory(self) -> bool:
        """Returns whether Redis has memory to spare."""
        info = cast(dict[str, int], self._redis.info("memory"))
        return not info.get("maxmemory") or info["used_memory"] < MOST_MEMORY * info["maxmemory"]

    # --- called by a helper ---

    @translated()
    def take(self, request: TileRequest) -> Image | None:
        """Removes and returns the window, (h, w, 3); None if its coordinator has withdrawn it or is gone.

        Raises OSError if the request's memory can't be mapped, ValueError for pixels of another size.
        """
        found = self._removed(_window_key(request))
        if not found:
            return None
        if request.memory is not None:
            return shared_memory.pixels_at(request.memory, *request.window)
        return joined(found, *request.window)

    @translated()
    def guide(self, request: TileRequest) -> Image | None:
        """Returns the guide of the request's attempt, (h, w, 3); None if it has none or is gone."""
        if request.guide is None:
            return None
        found = cast(list[bytes], self._redis.lrange(_key("guide", request.job_id, request.claim), 0, -1))
        return joined(found, *request.guide) if found else None

    @translated()
    def answer(self, request: TileRequest, answer: TileAnswer, core: Image | None = None) -> None:
        """Sends the core's gradient, if it was computed, and the answer to the request's coordinator.

        Raises OSError if the request's memory can't be mapped.
        """
        if core is not None and request.memory is not None:
            np.copyto(shared_memory.pixels_at(request.memory, *request.core_shape), core)
        elif core is not None:
            self._store(_core_key(request), core)
        key = _key("answers", request.job_id, request.claim)
        pipe = self._redis.pipeline(transaction=True)
        pipe.rpush(key, answer.pack())
        pipe.pexpire(key, KEEP_MS)
        pipe.execute()

    # --- both ---

    def _store(self, key: str, image: Image | None) -> None:
        sent: Iterable[bytes | memoryview] = [IN_MEMORY] if image is None else pieces(image)
        for index, piece in enumerate(sent):
            self._append(keys=[key], args=[piece, index, KEEP_MS])

    def _removed(self, key: str) -> list[bytes]:
        """Removes and returns the pieces, at once; an empty list if there are none."""
        pipe = self._redis.pipeline(transaction=True)
        pipe.lrange(key, 0, -1)
        pipe.delete(key)
        found, _ = pipe.execute()
        return cast(list[bytes], found)


def _core_key(request: TileRequest) -> str:
    return f"{_key('core', request.job_id, request.claim)}:{request.number}"


def _window_key(request: TileRequest) -> str:
    return f"{_key('window', request.job_id, request.claim)}:{request.number}"


def _key(part: str, job_id: str, claim: str) -> str:
    return f"dream:tiles:{part}:{job_id}:{claim}"


@contextmanager
def _broker_errors() -> Iterator[None]:
    try:
        yield
    except (OperationalError, redis.RedisError) as exc:
        raise StoreUnavailable from exc
