"""Shifts the image under the network's grid and the gradient back; uncovered margins are filled by reflection.

The image is never moved as a whole: windows are read, and cores written, at shifted positions.
"""

from collections import Counter
from collections.abc import Iterable

import cv2
import numpy as np
import numpy.typing as npt

from worker.dream import scratch
from worker.dream.tiles.tiling import Box, Tile
from worker.dream.types import Image

Shift = tuple[int, int]  # (y, x) pixels, at most half of the image: (0, 0) of the moved image is `shift` in the image


def read_window(image: Image, window: Box, shift: Shift) -> Image:
    """Returns the window's pixels of the moved image, (h, w, 3); a view if no reflection is needed."""
    (top, bottom), (left, right) = ((start + by, stop + by) for (start, stop), by in zip(window, shift, strict=True))
    height, width, _ = image.shape
    inside = image[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    above, below, before, behind = max(0, -top), max(0, bottom - height), max(0, -left), max(0, right - width)
    if not (above or below or before or behind):
        return inside
    if max(above, below) <= len(inside) and max(before, behind) <= inside.shape[1]:
        return cv2.copyMakeBorder(inside, above, below, before, behind, cv2.BORDER_REFLECT)  # type: ignore[return-value]
    return image[reflected(top, bottom, height)][
        :, reflected(left, right, width)
    ]  # the shift exceeds the window's size


def reflected(start: int, stop: int, length: int) -> npt.NDArray[np.intp]:
    """Returns the positions from start to stop, with those outside 0..length folded back by half-sample reflection."""
    places = np.arange(start, stop) % (2 * length)
    return np.minimum(places, 2 * length - 1 - places)


def write_core(gradient: Image, core: Image, box: Box, shift: Shift, *, scale: float) -> None:
    """Writes a core of the moved image's gradient, times `scale`, at its position in the image.

    Pixels that fall outside the image are dropped.
    """
    (top, bottom), (left, right) = ((start + by, stop + by) for (start, stop), by in zip(box, shift, strict=True))
    height, width, _ = gradient.shape
    inside = core[max(0, -top) : max(0, height - top), max(0, -left) : max(0, width - left)]
    place = gradient[max(0, top) : max(0, bottom), max(0, left) : max(0, right)]
    np.multiply(inside, np.float32(scale), out=place)


def reflect_uncovered(gradient: Image, shift: Shift) -> None:
    """Fills the margin that the moved image did not cover with the mirror image of the adjacent pixels."""
    by_y, by_x = shift
    _fill(gradient, by_y)
    for rows in scratch.bands(*gradient.shape[:2]) if by_x else ():
        _fill(gradient[rows].transpose(1, 0, 2), by_x)


class CompleteRows:
    """Counts the gradient's rows, from the top, whose values are final: cores are written, and the margins filled.

    Fills the margins that the shift leaves uncovered as soon as it can. Use it from one thread.
    """

    def __init__(self, gradient: Image, tiles: Iterable[Tile], shift: Shift) -> None:
        """tiles: all tiles of the gradient."""
        self._gradient, self._shift = gradient, shift
        self._missing = Counter(tile.core[0] for tile in tiles)  # cores that are not written, by their rows
        self.count = 0

    def written(self, tile: Tile) -> None:
        """Notes that the tile's core is in the gradient."""
        self._missing[tile.core[0]] -= 1
        self._missing = +self._missing
        by_y, by_x = self._shift
        height = len(self._gradient)
        if not self._missing:
            covered = height
        elif by_y < 0:  # the margin mirrors the rows above it, which must not be prepared before
            covered = min(min(self._missing)[0] + by_y, height + 2 * by_y)
        else:
            covered = min(min(self._missing)[0] + by_y, height)
        if covered <= self.count or covered < 2 * by_y:
            return
        if (by_y > 0 and self.count == 0) or (by_y < 0 and covered == height):
            _fill(self._gradient, by_y)
        _fill(self._gradient[self.count : covered].transpose(1, 0, 2), by_x)
        self.count = covered


def _fill(gradient: Image, by: int) -> None:
    if by > 0:
        gradient[:by] = gradient[by : 2 * by][::-1]
    elif by < 0:
        gradient[by:] = gradient[2 * by : by][::-1]
