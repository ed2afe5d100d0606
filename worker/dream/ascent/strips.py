"""Cuts an array into strips that are overwritten one by one, and keeps the values around each as they were before.

The columns are divided among panels, and each panel's strips follow one another from top to bottom. Panels do not wait
for each other: a strip can be cut as soon as the values that it needs are there.
"""

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from worker.dream import scratch
from worker.dream.tiles.tiling import Box, Span
from worker.dream.types import Image

_NARROWEST_PANEL, _WIDEST_PANEL = 1024, 8192  # columns
_MOST_PANELS = 4  # of an image whose panels are not too wide: what is kept at their edges takes memory
_STRIP_PX = 256 * 1024  # a strip, what is around it and a blur's copies take about 20 MB
_FEWEST_ROWS = 96  # so that what is around a strip does not outweigh it; of the widest panel they take about 50 MB

IsComplete = Callable[[Box], bool]  # whether those rows and columns have their final values


class Piece(NamedTuple):
    """Holds some of the values in and around a strip."""

    place: Box  # counted from the first row and column around the strip
    values: Image


@dataclass(frozen=True, slots=True)
class Strip:
    """Locates a part of the array that may be overwritten, and holds the values around it."""

    place: Box  # in the array
    size: tuple[int, int]  # height and width of the strip and what is around it
    within: Box  # where the strip is in that
    pieces: list[Piece]  # which cover it; the strip itself is the array's own memory


class Strips:
    """Cuts an array, (H, W, 3), of which each strip needs `reach` more rows and columns on all sides."""

    def __init__(self, array: Image, reach: int) -> None:
        if reach > _FEWEST_ROWS:
            raise ValueError(f"A strip can't need {reach} rows around it: the most is {_FEWEST_ROWS}.")
        height, width, _ = array.shape
        panels = panels_of(width)
        rows = strips_of(height, panels[0][1])
        borders = [_Border(array, left[1], reach) for left, _ in pairwise(panels)]
        around = pairwise([None, *borders, None])
        self._panels = [
            _Panel(array, columns, rows, reach=reach, borders=pair)
            for columns, pair in zip(panels, around, strict=True)
        ]

    def next(self, is_complete: IsComplete) -> Strip | None:
        """Returns a strip that was not returned before; None if there is none whose values are complete."""
        for panel in sorted(self._panels, key=lambda panel: panel.done):
            if panel.todo and is_complete(panel.needed()):
                return panel.cut()
        return None


class _Panel:
    """Cuts strips from a range of columns, from top to bottom."""

    def __init__(
        self, array: Image, columns: Span, rows: list[Span], *, reach: int, borders: "tuple[_Border | None, ...]"
    ) -> None:
        self._array, self._columns, self._reach = array, columns, reach
        self._before, self._after = borders
        self._above = array[:0, slice(*columns)]  # the rows above `done`, as they were
        self.todo = deque(rows)
        self.done = 0  # rows that may be overwritten

    def needed(self) -> Box:
        """Returns the rows and columns that the next strip needs."""
        height, width, _ = self._array.shape
        return _widened(self.todo[0], self._reach, height), _widened(self._columns, self._reach, width)

    def cut(self) -> Strip:
        """Returns the next strip."""
        (low, high), (left, right) = self.needed()
        place = (top, bottom), (first, last) = self.todo.popleft(), self._columns
        rows, columns = within = (top - low, bottom - low), (first - left, last - left)
        size = height, width = high - low, right - left
        own = self._array[:, first:last]
        pieces = [
            Piece(((0, rows[0]), columns), self._above),
            Piece(within, own[top:bottom]),
            Piece(((rows[1], height), columns), own[bottom:high].copy()),
        ]
        if self._before:
            pieces.append(Piece(((0, height), (0, columns[0])), self._before.left.read(low, high)))
            self._before.right.keep(bottom)
        if self._after:
            pieces.append(Piece(((0, height), (columns[1], width)), self._after.right.read(low, high)))
            self._after.left.keep(bottom)
        self._above = own[max(0, bottom - self._reach) : bottom].copy()
        self.done = bottom
        return Strip(place, size, within, [piece for piece in pieces if piece.values.size])


class _Border:
    """Keeps the columns on both sides of the border between two panels, for the panel on the other side."""

    def __init__(self, array: Image, column: int, reach: int) -> None:
        self.left = _Edge(array[:, column - reach : column])
        self.right = _Edge(array[:, column : column + reach])


class _Edge:
    """Keeps some columns as they were before they were overwritten from top to bottom."""

    def __init__(self, columns: Image) -> None:
        self._columns = columns
        self._kept: Image = scratch.empty(columns.shape)
        self._done = 0

    def keep(self, done: int) -> None:
        """Copies the rows down to `done`, which will be overwritten."""
        self._kept[self._done : done] = self._columns[self._done : done]
        self._done = done

    def read(self, low: int, high: int) -> Image:
        """Returns those rows."""
        kept = min(max(low, self._done), high)
        return np.concatenate([self._kept[low:kept], self._columns[kept:high]])


def panels_of(width: int) -> list[Span]:
    """Returns (first column, last column + 1) of each panel."""
    count = max(1, min(_MOST_PANELS, width // _NARROWEST_PANEL), math.ceil(width / _WIDEST_PANEL))
    return list(pairwise(width * edge // count for edge in range(count + 1)))


def strips_of(height: int, width: int) -> list[Span]:
    """Returns (first row, last row + 1) of each strip.

    The strips have equal heights, and their number is even where the height allows, so that no core waits long.
    """
    pairs = max(1, round(height * width / (2 * _STRIP_PX)))
    count = min(2 * pairs, max(1, height // _FEWEST_ROWS))
    count -= count % 2 if count > 1 else 0
    return list(pairwise(height * edge // count for edge in range(count + 1)))


def _widened(span: Span, by: int, length: int) -> Span:
    return max(0, span[0] - by), min(span[1] + by, length)
