"""Defines how other workers compute tiles of a dream. `worker.sharing` implements it through Redis."""

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from worker.dream.tiles.tiling import Tile
from worker.dream.types import Image


@dataclass(frozen=True, slots=True, eq=False)
class CoreGradient:
    """Holds a tile's result: the unnormalized gradient of its core, and that gradient's standard deviation."""

    gradient: Image  # (h, w, 3)
    std: float


class Helpers(Protocol):
    """Workers with the same numerics as this one, which have nothing else to do."""

    def has_room(self, window_px: int) -> bool:
        """Returns whether a window of so many pixels may be sent now, and whether that would save time."""

    def submit(self, tile: Tile, window: Callable[[], Image]) -> "Future[CoreGradient | None]":
        """Sends a tile's window. The future's result is None if the helper could not compute it.

        window: reads the pixels, (h, w, 3); called on another thread, but not after `take_back` has returned True.
        """

    def is_overdue(self, future: "Future[CoreGradient | None]") -> bool:
        """Returns whether the answer takes unusually long."""

    def take_back(self, future: "Future[CoreGradient | None]") -> bool:
        """Returns whether the caller has to compute the tile: no helper has begun it, or its answer is overdue.

        The future is then never completed.
        """

    def abandon(self) -> None:
        """Takes back everything that was submitted and is not complete."""

    def tile_computed(self, window_px: int, seconds: float) -> None:
        """Records how long a tile took this worker, to compare helpers with."""
