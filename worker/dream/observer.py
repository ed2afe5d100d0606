"""How a running dream is watched: where it is, and a chance to stop it between tile batches."""

from dataclasses import dataclass
from typing import Protocol

from worker.dream.types import Image


@dataclass(frozen=True, kw_only=True, slots=True)
class EngineProgress:
    """Where a dream is. Work is counted in pixel-steps, one pixel through one iteration, so that it grows evenly."""

    octave: int  # 0 is the smallest
    octaves: int
    iteration: int  # completed in this octave
    iterations: int
    done_px: int  # pixel-steps done, over all octaves, tiles of the running iteration included
    total_px: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ResumePoint:
    """All that a dream needs to go on, beside its input and parameters."""

    octave: int
    iteration: int  # completed in this octave; the octave's iterations when it is done
    image: Image  # live, the engine goes on writing to it: copy it before keeping it past the call
    tile_size: int


class EngineObserver(Protocol):
    """Called on the engine's own thread: must return at once. Raising from `tiles_done` stops the dream,
    and the image of the last `iteration_done` is still whole."""

    def tiles_done(self, mark: EngineProgress) -> None:
        """After each tile batch and each other long step."""

    def iteration_done(self, point: ResumePoint) -> None:
        """After each iteration's update; the last one of an octave included."""
