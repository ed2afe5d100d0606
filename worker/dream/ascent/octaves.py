"""Builds the octaves of the photograph, from small to large, and carries the result of one into the next."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

from worker.dream import scratch
from worker.dream.ascent import device, memory
from worker.dream.ascent.blur import gaussian, radius
from worker.dream.resize import Channel, ReadRows, resized
from worker.dream.types import Image

_PARALLEL_COLORS_PX = 4_000_000  # larger images are processed one color at a time where memory is short
_PARALLEL_COLORS_BYTES = 512 * 2**20  # for arrays: a color's bands take some 70 MB
_ANTIALIAS = 0.5  # sigma, pixels, before each step down


def enlarged(image: Image, height: int, width: int) -> Image:
    """Returns the photograph resized to the job's size; the same array if it already has that size."""
    if image.shape[:2] == (height, width):
        return image
    result: Image = scratch.empty((height, width, 3))
    for color in range(3):
        for rows, larger in resized(_rows_of(image, color), (image.shape[0], image.shape[1]), height, width):
            result[rows, :, color] = np.clip(larger, 0, 255)  # Lanczos overshoots
    return result


def pyramid(image: Image, sizes: list[tuple[int, int]], step: Callable[[], None]) -> list[Image]:
    """Returns the photograph at those sizes, smallest first; the last is `image` itself.

    Calls `step` after each color.
    """
    octaves = [image]
    for height, width in sizes[-2::-1]:
        below: Image = scratch.empty((height, width, 3))
        _each_color(partial(_shrink, octaves[-1], below), octaves[-1], step)
        octaves.append(below)
    return octaves[::-1]


def blend_into(octave: Image, previous: Image, blend: float, step: Callable[[], None]) -> None:
    """Computes octave <- blend * octave + (1 - blend) * resize(previous) in place. Calls `step` after each color."""
    _each_color(partial(_blend, octave, previous, blend), octave, step)


def carry_into(octave: Image, previous: Image, step: Callable[[], None]) -> None:
    """Computes octave <- octave + resize(detail) in place. Calls `step` after each color.

    The detail is `previous` minus the photograph at that size, which is computed from `octave` again.
    Source: google/deepdream's `detail`, 2015.
    """
    _each_color(partial(_carry, octave, previous), octave, step)


def _shrink(image: Image, below: Image, color: int) -> None:
    for rows, smaller in _shrunk(image, below.shape[0], below.shape[1], color):
        below[rows, :, color] = smaller


def _blend(octave: Image, previous: Image, blend: float, color: int) -> None:
    for rows, grown in resized(_rows_of(previous, color), previous.shape[:2], *octave.shape[:2]):
        octave[rows, :, color] = np.float32(blend) * octave[rows, :, color] + np.float32(1 - blend) * grown


def _carry(octave: Image, previous: Image, color: int) -> None:
    height, width, _ = previous.shape
    detail: Channel = scratch.empty((height, width))
    for rows, photograph in _shrunk(octave, height, width, color):
        np.subtract(previous[rows, :, color], photograph, out=detail[rows])
    for rows, grown in resized(lambda top, bottom: detail[top:bottom], (height, width), *octave.shape[:2]):
        octave[rows, :, color] += grown


def _each_color(work: Callable[[int], None], larger: Image, step: Callable[[], None]) -> None:
    """Processes the colors in parallel, or one at a time for a large image where memory is short."""
    several = larger.size <= _PARALLEL_COLORS_PX * 3 or memory.bytes_for_arrays() >= _PARALLEL_COLORS_BYTES
    for _ in device.pool(device.cores()).map(work, range(3)) if several else map(work, range(3)):
        step()


def _rows_of(image: Image, color: int) -> ReadRows:
    return lambda top, bottom: np.ascontiguousarray(image[top:bottom, :, color])


def _shrunk(image: Image, height: int, width: int, color: int) -> Iterator[tuple[slice, Channel]]:
    """Resizes one color after a slight blur, which prevents aliasing."""
    around = radius(_ANTIALIAS)

    def blurred(top: int, bottom: int) -> Channel:
        first, last = max(0, top - around), min(bottom + around, len(image))
        rows = gaussian(np.ascontiguousarray(image[first:last, :, color]), _ANTIALIAS)
        return rows[top - first : bottom - first]

    return resized(blurred, (image.shape[0], image.shape[1]), height, width)
