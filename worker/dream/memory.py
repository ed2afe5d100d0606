"""How large a tile may be, and what to do when memory runs out all the same."""

import math

import tensorflow as tf

from shared.errors import OutOfMemory
from worker.dream import device
from worker.dream.network import Network
from worker.dream.report import TileChange

SMALLEST_TILE, LARGEST_TILE = 128, 4096  # as shared.params has them
LARGEST_ON_CPU = 1024  # beyond it the halos' share hardly falls any more
IMAGE_BYTES_PER_PX = 24  # the picture and its gradient, float32 and three colours each
LIMIT_BYTES_PER_PX = 48  # what a dream may take for each pixel of a large picture, tiles included ...
SMALL_DREAM_BYTES = 640 * 2**20  # ... and what any dream may take


def tile_size_for(network: Network, height: int, width: int) -> int:
    """The largest tile that memory allows, in steps of 32 pixels."""
    if device.gpu() is not None:
        free_bytes = device.free_gpu_bytes() - IMAGE_BYTES_PER_PX * 2 * height * width
        tile_bytes, at_once, largest = free_bytes * 0.5, 1, LARGEST_TILE
    else:
        tile_bytes, at_once, largest = _host_tile_bytes(height * width), device.cores(), LARGEST_ON_CPU
    edge = math.sqrt(max(tile_bytes, 0) / at_once / network.gradient_bytes_per_px)
    return min(max(int(edge) // 32 * 32, 2 * SMALLEST_TILE), largest)


def _host_tile_bytes(px: int) -> float:
    return max(SMALL_DREAM_BYTES, LIMIT_BYTES_PER_PX * px) - IMAGE_BYTES_PER_PX * px


class TilePlan:
    """How many tiles run at once and how large they are. Shrinks when memory runs out, and remembers it."""

    def __init__(self, tile_size: int, batch: int) -> None:
        self.tile_size = tile_size
        self.batch = batch
        self.changes: list[TileChange] = []

    def shrink(self, octave: int, iteration: int, why: Exception) -> None:
        """Half the batch, then half the tile. Raises OutOfMemory when neither can be halved."""
        if self.batch > 1:
            self.batch //= 2
        elif self.tile_size >= 2 * SMALLEST_TILE:
            self.tile_size //= 2
        else:
            raise OutOfMemory from why
        sentence = str(why).splitlines()[0][:200] if str(why) else type(why).__name__
        self.changes.append(
            TileChange(octave=octave, iteration=iteration, batch=self.batch, tile_size=self.tile_size, why=sentence)
        )


OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)
