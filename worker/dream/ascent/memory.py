"""Chooses the size and the number of tiles to fit memory, and reduces them when memory runs out anyway."""

import math

import tensorflow as tf

from shared.errors import OutOfMemory
from worker.dream.ascent import device
from worker.dream.network import Network
from worker.dream.report import TileChange

OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

SMALLEST_TILE = 128  # the minimum in shared.params
LARGEST_ON_CPU, LARGEST_ON_GPU = 1024, 2048  # larger tiles hardly reduce the share of the halos
COMFORTABLE = 512  # smaller tiles lose more by halos and seams than they gain by running in parallel
LARGEST_BATCH = 16
GPU_SHARE = 0.6  # of the free GPU memory, for tiles; the rest is for the image, the blur and cuDNN's workspace

# On the CPU a large image may take 48 bytes per pixel, or LARGE_BYTES_PER_CORE per core if that is more. A small image
# may take more per core, because larger tiles save a tenth of its time.
LIMIT_BYTES_PER_PX = 48
LARGE_BYTES_PER_CORE = 272 * 2**20
SMALL_BYTES_PER_CORE, SMALL_PX = 544 * 2**20, 6_000_000
# Of that, the image and its gradient take 24 bytes per pixel (float32, three colors). The compiled gradient, oneDNN's
# primitives for five octaves, the blur's strips and the fragmentation of TensorFlow's allocator take FIXED_BYTES.
IMAGE_BYTES_PER_PX = 24
FIXED_BYTES = 165 * 2**20


def tile_size_for(network: Network, height: int, width: int) -> int:
    """Returns the largest tile edge that fits memory, in pixels, a multiple of 16, between this device's limits."""
    px = tile_bytes(height, width) / network.gradient_bytes_per_px
    if device.gpu() is not None:
        largest = LARGEST_ON_GPU
    else:
        largest, at_once = LARGEST_ON_CPU, device.cores()
        while at_once > 1 and px / at_once < COMFORTABLE**2:
            at_once //= 2  # fewer tiles at once are better than tiny ones: a single tile still uses all cores
        px /= at_once
    return min(max(int(math.sqrt(px)) // 16 * 16, 2 * SMALLEST_TILE), largest)


def largest_tile(network: Network, height: int, width: int) -> int:
    """Returns the largest tile edge of which one fits memory, in pixels, a multiple of 16."""
    px = tile_bytes(height, width) / network.gradient_bytes_per_px
    return max(int(math.sqrt(px)) // 16 * 16, 2 * SMALLEST_TILE)


def batch_for(network: Network, tile_size: int, height: int, width: int, threads: int) -> int:
    """Returns how many tiles of that size run at once."""
    fitting = int(tile_bytes(height, width) / (tile_size**2 * network.gradient_bytes_per_px))
    return min(max(fitting, 1), threads if device.gpu() is None else LARGEST_BATCH)


def tile_bytes(height: int, width: int) -> float:
    """Returns the memory, in bytes, available for the tiles of an image of this size."""
    if device.gpu() is not None:
        return device.free_gpu_bytes() * GPU_SHARE
    px = height * width
    per_core = SMALL_BYTES_PER_CORE if px <= SMALL_PX else LARGE_BYTES_PER_CORE
    limit = max(LIMIT_BYTES_PER_PX * px, per_core * device.cores())
    return max(0, limit - IMAGE_BYTES_PER_PX * px - FIXED_BYTES)


class TilePlan:
    """Holds how many tiles run at once and how large they are. Shrinks when memory runs out; records each change."""

    def __init__(self, tile_size: int, batch: int) -> None:
        self.tile_size = tile_size
        self.batch = batch
        self.changes: list[TileChange] = []

    def shrink(self, octave: int, iteration: int, why: Exception) -> None:
        """Halves the batch, or else the tile size. Raises OutOfMemory when neither can be halved."""
        if self.batch > 1:
            self.batch //= 2
        elif self.tile_size >= 2 * SMALLEST_TILE:
            self.tile_size //= 2
        else:
            raise OutOfMemory from why
        sentence = next(iter(str(why).splitlines()), type(why).__name__)[:200]
        change = {"octave": octave, "iteration": iteration, "batch": self.batch, "tile_size": self.tile_size}
        self.changes.append(TileChange(**change, why=sentence))
