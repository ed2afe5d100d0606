"""Builds the octaves of the photograph, from small to large, and carries the result of one into the next."""

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from worker.dream.ascent import device
from worker.dream.ascent.blur import gaussian
from worker.dream.types import Image

_PARALLEL_COLORS_PX = 4_000_000  # larger images are processed one color at a time
_BAND_ROWS = 512
_ANTIALIAS = 0.5  # sigma, pixels, before each step down


def enlarged(image: Image, height: int, width: int) -> Image:
    """Returns the photograph resized to the job's size; the same array if it already has that size."""
    if image.shape[:2] == (height, width):
        return image
    result = np.empty((height, width, 3), np.float32)
    for color in range(3):
        for rows, resized in resized_bands(image[..., color], height, width):
            result[rows, :, color] = np.clip(resized, 0, 255)  # Lanczos overshoots
    return result


def pyramid(image: Image, sizes: list[tuple[int, int]], step: Callable[[], None]) -> list[Image]:
    """Returns the photograph at those sizes, smallest first; the last is `image` itself.

    Calls `step` after each color.
    """
    octaves = [image]
    for height, width in sizes[-2::-1]:
        below = np.empty((height, width, 3), np.float32)
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
    for rows, resized in _shrunk_bands(image[..., color], *below.shape[:2]):
        below[rows, :, color] = resized


def _shrunk_bands(
    channel: npt.NDArray[np.float32], height: int, width: int
) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
    return resized_bands(gaussian(channel.copy(), _ANTIALIAS), height, width)


def _blend(octave: Image, previous: Image, blend: float, color: int) -> None:
    for rows, grown in resized_bands(previous[..., color], *octave.shape[:2]):
        octave[rows, :, color] = np.float32(blend) * octave[rows, :, color] + np.float32(1 - blend) * grown


def _carry(octave: Image, previous: Image, color: int) -> None:
    detail = previous[..., color].copy()  # (h, w)
    for rows, photograph in _shrunk_bands(octave[..., color], *detail.shape):
        detail[rows] -= photograph
    for rows, grown in resized_bands(detail, *octave.shape[:2]):
        octave[rows, :, color] += grown


def _each_color(work: Callable[[int], None], larger: Image, step: Callable[[], None]) -> None:
    """Processes the colors in parallel, or one at a time for a large image, whose copies would take much memory."""
    several = larger.size <= _PARALLEL_COLORS_PX * 3
    for _ in device.pool(device.cores()).map(work, range(3)) if several else map(work, range(3)):
        step()


def resized_bands(
    channel: npt.NDArray[np.float32], height: int, width: int
) -> Iterator[tuple[slice, npt.NDArray[np.float32]]]:
    """Resizes one channel (h, w) by antialiased Lanczos (a = 3), in float.

    Yields some rows at a time, so that no second image is held in memory.
    """
    picture = Pillow.fromarray(np.ascontiguousarray(channel))
    scale = picture.height / height
    for top in range(0, height, _BAND_ROWS):
        bottom = min(top + _BAND_ROWS, height)
        box = (0, top * scale, picture.width, min(bottom * scale, picture.height))
        yield slice(top, bottom), np.asarray(picture.resize((width, bottom - top), Pillow.Resampling.LANCZOS, box))
