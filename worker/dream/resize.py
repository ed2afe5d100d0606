"""Resizes images some rows at a time, so that no second image is held in memory."""

import math
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow

from worker.dream import scratch
from worker.dream.types import Image

Channel = npt.NDArray[np.float32]  # (h, w)
ReadRows = Callable[[int, int], Channel]  # first row, last row + 1 -> those rows, contiguous

_BAND_PX = 4_000_000  # of the larger image
_SUPPORT = 3  # of Lanczos, pixels of the smaller image


def resized(
    read: ReadRows,
    size: tuple[int, int],
    height: int,
    width: int,
    resampling: Pillow.Resampling = Pillow.Resampling.LANCZOS,
) -> Iterator[tuple[slice, Channel]]:
    """Resizes a channel of that (height, width) in float, antialiased. Yields rows and their values, top to bottom.

    resampling: with a support of at most three pixels. Lanczos overshoots.
    """
    scale = size[0] / height
    reach = math.ceil(_SUPPORT * max(scale, 1)) + 1
    band = max(1, round(_BAND_PX / max(width, size[1]) / max(scale, 1)))
    for top in range(0, height, band):
        bottom = min(top + band, height)
        first, last = max(0, math.floor(top * scale) - reach), min(math.ceil(bottom * scale) + reach, size[0])
        source = Pillow.fromarray(read(first, last))
        box = (0, top * scale - first, size[1], min(bottom * scale, size[0]) - first)
        yield slice(top, bottom), np.asarray(source.resize((width, bottom - top), resampling, box))
        scratch.release()


def reduced(image: Image, height: int, width: int) -> Image:
    """Returns area means, (height, width, 3), at most as large as the image: first along its rows, then its columns."""
    narrow = np.empty((len(image), width, 3), np.float32)
    for rows in scratch.bands(*image.shape[:2]):
        narrow[rows] = _area(image[rows], narrow[rows].shape)
    return _area(narrow, (height, width, 3))


def _area(image: Image, shape: tuple[int, ...]) -> Image:
    return np.asarray(cv2.resize(image, (shape[1], shape[0]), interpolation=cv2.INTER_AREA), np.float32).reshape(shape)
