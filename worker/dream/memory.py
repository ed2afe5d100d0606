"""How large a tile may be, and what to do when memory runs out all the same."""

import math

import tensorflow as tf

from shared.errors import OutOfMemory
from worker.dream import device
from worker.dream.network import Network
from worker.dream.report import TileChange

OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

SMALLEST_TILE = 128  # as shared.params has it
LARGEST_ON_CPU, LARGEST_ON_GPU = 1024, 2048  # beyond them the halos' share hardly falls any more
LARGEST_BATCH = 16
GPU_SHARE = 0.6  # of its free memory, for tiles; the rest is for the picture, the blur and cuDNN's work space

# On a host a picture and its gradient take 24 bytes a pixel (float32, three colours), and resizing a little more.
IMAGE_BYTES_PER_PX = 24
LIMIT_BYTES_PER_PX = 48  # for everything, from some 12 megapixels on ...
SMALL_DREAM_BYTES = 640 * 2**20  # ... and for everything in smaller dreams


def tile_size_for(network: Network, height: int, width: int) -> int:
    """The largest tile edge in pixels, a multiple of 32, that memory has room for."""
    if device.gpu() is not None:
        tile_bytes, at_once, largest = device.free_gpu_bytes() * GPU_SHARE, 1, LARGEST_ON_GPU
    else:
        tile_bytes, at_once, largest = _host_bytes(height * width), device.cores(), LARGEST_ON_CPU
    edge = math.sqrt(max(tile_bytes, 0) / at_once / network.gradient_bytes_per_px)
    return min(max(int(edge) // 32 * 32, 2 * SMALLEST_TILE), largest)


def batch_for(network: Network, tile_size: int) -> int:
    """Windows that a GPU takes at once."""
    fitting = device.free_gpu_bytes() * GPU_SHARE / (tile_size**2 * network.gradient_bytes_per_px)
    return min(max(int(fitting), 1), LARGEST_BATCH)


def _host_bytes(px: int) -> float:
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
        sentence = next(iter(str(why).splitlines()), type(why).__name__)[:200]
        change = {"octave": octave, "iteration": iteration, "batch": self.batch, "tile_size": self.tile_size}
        self.changes.append(TileChange(**change, why=sentence))
