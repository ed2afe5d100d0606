"""Defines how the running engine reports its progress, and how an observer can stop it between tiles."""

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


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumePoint:
    """Holds the state that the engine needs to resume, in addition to the job's input and parameters."""

    octave: int
    iteration: int  # completed in this octave; the octave's iterations when it is done
    image: Image  # the engine continues to write to it: copy it to keep it beyond the call
    tile_size: int


class EngineObserver(Protocol):
    """Receives the engine's callbacks, on the engine's own thread, so each must return quickly.

    An exception from `tile_done` stops the engine; the image of the last `iteration_done` is then still intact.
    """

    def tile_done(self, progress: EngineProgress) -> None:
        """Handles the end of a tile or of another long step."""

    def iteration_done(self, point: ResumePoint) -> None:
        """Handles the end of an iteration's update, including the last one of an octave."""
