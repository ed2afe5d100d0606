"""Chooses the size and the number of tiles to fit memory, and reduces them when memory runs out anyway."""

import math

import tensorflow as tf

from shared.errors import OutOfMemory
from worker.dream.ascent import device
from worker.dream.ascent.tile_speed import TileSpeeds
from worker.dream.network import Network
from worker.dream.report import TileChange

OUT_OF_MEMORY = (tf.errors.ResourceExhaustedError, MemoryError)

SMALLEST_TILE = 128  # the minimum in shared.params
LARGEST_ON_CPU, LARGEST_ON_GPU = 1024, 2048  # where no speeds are measured, unless the halo needs more
USUAL_ON_CPU, USUAL_HALOS = 896, 16  # tiles of so many pixels, or of so many halos: larger ones are not faster
COMFORTABLE = 512  # smaller tiles lose more by halos and seams than they gain by running in parallel
HALOS_PER_TILE = 7  # a tile of fewer has too many cuts for its halo, and below 6 a narrower one (see tiling)
LARGEST_BATCH = 16
GPU_BATCH_BYTES = 2**31 * 4  # TensorFlow's GPU kernels count values in int32; a tensor of more ends the process
GPU_SHARE = 0.6  # of the free GPU memory, for tiles; the rest is for the image, the blur and cuDNN's workspace
DEVICE_BYTES_PER_PX = 192  # of an image on a GPU: itself, its gradient, three blurs and their margins, the next image

# On the CPU the engine may take the process's budget (device.memory_budget). The interpreter with TensorFlow, the
# network, the compiled gradient, oneDNN's primitives for five octaves and the blur's strips take FIXED_BYTES of it; the
# image, its gradient, its smaller octaves and a copy for masks take IMAGE_BYTES_PER_PX, up to half of the rest. What
# does not fit there is in files (worker.dream.scratch), so that huge images have tiles as large as others.
IMAGE_BYTES_PER_PX = 42
FIXED_BYTES = 900 * 2**20
LEAST_BYTES = 384 * 2**20  # for tiles, beyond the budget if need be: with less, halos would be most of the work


def tile_size_for(
    network: Network, height: int, width: int, *, halo: int = 0, stride: int = 1, speeds: TileSpeeds | None = None
) -> int:
    """Returns the tile edge for an image of this size, in pixels: the fastest one that fits.

    halo, stride: the targets', in pixels. Where memory is short, fewer tiles run at once before a tile becomes too
    small for its halo.
    speeds: as measured on this machine; None chooses what is usually fast.
    """
    px = bytes_for_tiles(height, width) / network.gradient_bytes_per_px
    if device.gpu() is not None:
        return _edge(px, LARGEST_ON_GPU)
    comfortable, at_once = max(COMFORTABLE, HALOS_PER_TILE * halo), device.cores()
    while at_once > 1 and px / at_once < comfortable**2:
        at_once //= 2  # fewer tiles at once are better than tiny ones: a single tile still uses all cores
    if speeds is not None and (edges := speeds.choices(comfortable, math.sqrt(px / at_once))):
        return speeds.best(edges, (height, width), stride=stride, halo=halo)
    return _edge(px / at_once, max(min(LARGEST_ON_CPU, max(USUAL_ON_CPU, USUAL_HALOS * halo)), HALOS_PER_TILE * halo))


def _edge(px: float, largest: int) -> int:
    return min(max(int(math.sqrt(px)) // 16 * 16, 2 * SMALLEST_TILE), largest)


def largest_tile(network: Network, height: int, width: int) -> int:
    """Returns the largest tile edge of which one fits memory, in pixels, a multiple of 16."""
    px = bytes_for_tiles(height, width) / network.gradient_bytes_per_px
    return max(int(math.sqrt(px)) // 16 * 16, 2 * SMALLEST_TILE)


def batch_for(network: Network, tile_size: int, height: int, width: int, threads: int) -> int:
    """Returns how many tiles of that size run at once."""
    fitting = int(bytes_for_tiles(height, width) / (tile_size**2 * network.gradient_bytes_per_px))
    return min(max(fitting, 1), threads if device.gpu() is None else LARGEST_BATCH)


def bytes_for_tiles(height: int, width: int) -> float:
    """Returns the memory, in bytes, available for the tiles of an image of this size.

    On a GPU at most `GPU_BATCH_BYTES`. Most cards have that much free, so the batch, which can change the last bits of
    a pixel there, does not depend on what else the card holds. Larger batches are not faster.
    """
    if device.gpu() is not None:
        return min(device.free_gpu_bytes() * GPU_SHARE, GPU_BATCH_BYTES)
    arrays_bytes = min(IMAGE_BYTES_PER_PX * height * width, bytes_for_arrays())
    return max(LEAST_BYTES, device.memory_budget() - FIXED_BYTES - arrays_bytes)


def bytes_for_arrays() -> int:
    """Returns how much memory, in bytes, arrays of the image's size may take in all."""
    return max(0, device.memory_budget() - FIXED_BYTES) // 2


def fits_device(height: int, width: int) -> bool:
    """Returns whether the GPU can hold an image of this size in addition to its tiles; without a GPU, True."""
    if device.gpu() is None:
        return True
    return DEVICE_BYTES_PER_PX * height * width <= device.free_gpu_bytes() * (1 - GPU_SHARE)


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
        sentence = _sentence(why)
        change = {"octave": octave, "iteration": iteration, "batch": self.batch, "tile_size": self.tile_size}
        self.changes.append(TileChange(**change, why=sentence))


def _sentence(why: Exception) -> str:
    """Returns the line that names the allocation; in the error of a compiled function it is not the first one."""
    lines = str(why).splitlines() or [type(why).__name__]
    return next((line for line in lines if "OOM" in line), lines[0])[:200]
