"""Defines how the running engine reports its progress, and how an observer can stop it between tiles."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from worker.dream.types import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineProgress:
    """Holds the engine's progress, in pixel-steps (one pixel through one iteration), so that it grows evenly."""

    octave: int  # 0 is the smallest
    octaves: int
    iteration: int  # completed in this octave
    iterations: int
    done_px: int  # pixel-steps done, over all octaves, including tiles of the current iteration
    total_px: int
    octave_px: tuple[int, ...] = ()  # pixels of each octave
    windows_px: tuple[int, ...] = ()  # pixels of each octave's windows, halos included
    tile_size: int = 0  # pixels, as chosen for the job


class ResumePoint:
    """Holds the state that the engine needs to resume, in addition to the job's input and parameters.

    octave, iteration: `iteration` iterations of that octave are done, all of them at its end.
    image: float32 (H, W, 3), or a function that fetches it from the device where it is. An observer that does not read
    it costs no transfer.
    """

    def __init__(self, *, octave: int, iteration: int, image: Image | Callable[[], Image], tile_size: int) -> None:
        self.octave = octave
        self.iteration = iteration
        self.tile_size = tile_size
        self._image = image

    @property
    def image(self) -> Image:
        """Returns the pixels. The engine continues to write to them: copy them to keep them beyond the call."""
        return self._image() if callable(self._image) else self._image


class EngineObserver(Protocol):
    """Receives the engine's callbacks, on the engine's own thread, so each must return quickly.

    An exception from `tile_done` stops the engine; the image of the last `iteration_done` is then still intact.
    """

    def tile_done(self, progress: EngineProgress) -> None:
        """Handles the end of a tile or of another long step."""

    def iteration_done(self, point: ResumePoint) -> None:
        """Handles the end of an iteration's update, including the last one of an octave."""
