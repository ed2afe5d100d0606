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
COMFORTABLE = 512  # below it halos and seams cost more than tiles side by side gain
LARGEST_BATCH = 16
GPU_SHARE = 0.6  # of its free memory, for tiles; the rest is for the picture, the blur and cuDNN's work space

# On a host a large dream may take 48 bytes for each of its pixels, and so much for each core at least. A small one may
# take more for each core, since larger tiles spare a tenth of its time.
LIMIT_BYTES_PER_PX = 48
LARGE_BYTES_PER_CORE = 272 * 2**20
SMALL_BYTES_PER_CORE, SMALL_PX = 544 * 2**20, 6_000_000
# Of that, the picture and its gradient take 24 (float32, three colors); and the compiled gradient, oneDNN's primitives
# for five octaves, the blur's strips and what TensorFlow's allocator leaves between its blocks so much:
IMAGE_BYTES_PER_PX = 24
FIXED_BYTES = 165 * 2**20


def tile_size_for(network: Network, height: int, width: int) -> int:
    """The largest tile edge in pixels, a multiple of 16, that memory has room for."""
    px = tile_bytes(height, width) / network.gradient_bytes_per_px
    if device.gpu() is not None:
        largest = LARGEST_ON_GPU
    else:
        largest, at_once = LARGEST_ON_CPU, device.cores()
        while at_once > 1 and px / at_once < COMFORTABLE**2:
            at_once //= 2  # rather fewer tiles at once than tiny ones: a lone tile still uses all cores
        px /= at_once
    return min(max(int(math.sqrt(px)) // 16 * 16, 2 * SMALLEST_TILE), largest)


def batch_for(network: Network, tile_size: int, height: int, width: int, threads: int) -> int:
    """How many tiles of that size run at once."""
    fitting = int(tile_bytes(height, width) / (tile_size**2 * network.gradient_bytes_per_px))
    return min(max(fitting, 1), threads if device.gpu() is None else LARGEST_BATCH)


def tile_bytes(height: int, width: int) -> float:
    """Memory for the tiles of such a picture."""
    if device.gpu() is not None:
        return device.free_gpu_bytes() * GPU_SHARE
    px = height * width
    per_core = SMALL_BYTES_PER_CORE if px <= SMALL_PX else LARGE_BYTES_PER_CORE
    limit = max(LIMIT_BYTES_PER_PX * px, per_core * device.cores())
    return max(0, limit - IMAGE_BYTES_PER_PX * px - FIXED_BYTES)


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
