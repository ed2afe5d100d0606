"""A way to reach helpers: through memory that both workers map, or through Redis."""

import weakref
from collections import deque

import structlog

from worker.dream.types import Image
from worker.sharing.pace import Pace
from worker.sharing.shared_memory import TileMemory

log = structlog.get_logger(__name__)


class Route:
    """Knows the queue of some helpers, how many of them are idle, and what it costs to send them tiles."""

    def __init__(self, queue: str, own_s_per_px: float | None, *, through_memory: bool) -> None:
        """queue: without the model's name.   own_s_per_px: as Pace takes it."""
        self.queue = queue
        self.pace = Pace(own_s_per_px)
        self.helpers = 0  # idle workers at the last look
        self._through_memory = through_memory
        self._free: deque[TileMemory] = deque()

    def memory(self, size_bytes: int) -> TileMemory | None:
        """Returns memory for a tile; None if its pixels go through Redis, as they do when there is no more memory."""
        if not self._through_memory:
            return None
        while self._free:
            found = self._free.popleft()
            if found.size_bytes >= size_bytes:
                return found
        try:
            return TileMemory(size_bytes)
        except OSError as exc:
            log.warning("tile_memory_unavailable", reason=str(exc))
            return None

    def free(self, memory: TileMemory | None, *, after: Image | None = None) -> None:
        """Keeps memory that no helper can write anymore for other tiles, once `after` and views of it are gone.

        Its pages need not be made again, which takes longer than copying to them.
        """
        if memory is None:
            return
        if after is None:
            self._free.append(memory)
        else:
            weakref.finalize(after if after.base is None else after.base, self._free.append, memory)

    def close(self) -> None:
        """Releases memory that is kept for other tiles."""
        self._free.clear()
