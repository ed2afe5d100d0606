"""Shifts the image under the network's grid and the gradient back; uncovered margins are filled by reflection.

The image is never moved as a whole: windows are read, and cores written, at shifted positions.
"""

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
import numpy.typing as npt

from worker.dream.tiles.tiling import Box, Span, Tile
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

    The part beside a margin that the moved image does not cover is written there too, mirrored. Pixels that fall
    outside the image are dropped.
    """
    (rows, columns), (height, width, _) = box, gradient.shape
    for down, from_rows, y in _places(rows, shift[0], height):
        for across, from_columns, x in _places(columns, shift[1], width):
            values = core[::y, ::x][from_rows, from_columns]
            np.multiply(values, np.float32(scale), out=gradient[down, across])


def _places(span: Span, by: int, length: int) -> Iterator[tuple[slice, slice, int]]:
    """Yields where a range of the moved image lies in the image: itself, and its mirror image in the margin.

    Each as positions in the image, positions in the range, and 1, or -1 if the range is to be reversed first.
    """
    start, stop = span[0] + by, span[1] + by
    edge = by if by > 0 else length + by
    margin = (0, edge) if by > 0 else (edge, length)
    for first, last, limits, step in ((start, stop, (0, length), 1), (2 * edge - stop, 2 * edge - start, margin, -1)):
        low, high = max(first, limits[0]), min(last, limits[1])
        if low < high:
            yield slice(low, high), slice(low - first, high - first), step


class Coverage:
    """Knows which parts of the gradient have their final values. Use it from one thread."""

    def __init__(self, tiles: Iterable[Tile], shift: Shift, gradient: Image) -> None:
        """tiles: all tiles of the gradient, which form a grid."""
        cores, (height, width, _) = [tile.core for tile in tiles], gradient.shape
        self._rows = _CoreSpans((rows for rows, _ in cores), shift[0], height)
        self._columns = _CoreSpans((columns for _, columns in cores), shift[1], width)
        self._written = np.zeros((len(self._rows.number), len(self._columns.number)), bool)

    def add(self, tile: Tile) -> None:
        """Notes that the tile's core is in the gradient."""
        rows, columns = tile.core
        self._written[self._rows.number[rows], self._columns.number[columns]] = True

    def is_complete(self, box: Box) -> bool:
        """Returns whether all cores that reach those rows and columns are in the gradient."""
        rows, columns = box
        return bool(self._written[np.ix_(self._rows.reaching(rows), self._columns.reaching(columns))].all())


class _CoreSpans:
    """Numbers the cores along one axis."""

    def __init__(self, spans: Iterable[Span], by: int, length: int) -> None:
        self.number = {span: number for number, span in enumerate(dict.fromkeys(spans))}
        self._places = [[place for place, _, _ in _places(span, by, length)] for span in self.number]

    def reaching(self, span: Span) -> list[int]:
        """Returns the cores that reach those rows or columns of the image."""
        start, stop = span
        return [n for n, places in enumerate(self._places) if any(p.start < stop and start < p.stop for p in places)]
