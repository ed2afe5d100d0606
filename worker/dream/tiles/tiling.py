"""Cuts an octave into tiles: cores that partition it, and windows that give the cores context.

Within one octave all windows have the same shape, so that one compiled function and its primitives serve them all. The
windows' origins are multiples of the target's stride, and their sizes are congruent with the octave's modulo the
stride. With "SAME" padding both conditions are necessary and sufficient for every window to sample the image on the
same grid. Only the cuts between the cores move.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice, pairwise

import numpy as np

PAIR = 1.2  # an octave is cut in two, for two cores, if the two windows together have at most this times its pixels
IDLE = 0.2  # share of a window's time that a core loses when it has none of its own, though it helps with others'
ROOM = 16  # pixels that a cut may move, at least; the grid's jitter moves it by as much again

Span = tuple[int, int]  # from, to (exclusive), pixels
Box = tuple[Span, Span]  # y, x


@dataclass(frozen=True, slots=True)
class Tile:
    """Locates a tile: the gradient is computed on the window, and only the core's part is used."""

    core: Box
    window: Box

    @property
    def core_px(self) -> int:
        (top, bottom), (left, right) = self.core
        return (bottom - top) * (right - left)

    @property
    def window_px(self) -> int:
        (top, bottom), (left, right) = self.window
        return (bottom - top) * (right - left)

    @property
    def core_in_window(self) -> tuple[slice, slice]:
        (y, x), (top, left) = self.core, (self.window[0][0], self.window[1][0])
        return slice(y[0] - top, y[1] - top), slice(x[0] - left, x[1] - left)


@dataclass(frozen=True, slots=True)
class Axis:
    """Describes one axis of a layout: windows of one length at `origins`, and the ranges of the cuts between cores."""

    length: int
    window: int
    origins: tuple[int, ...]
    cuts: tuple[Span, ...]  # for each cut, the first and the last position (inclusive) that leave both sides their halo

    def spans(self, random: np.random.Generator) -> list[tuple[Span, Span]]:
        """Returns (core, window) of each tile along the axis, with newly drawn cuts."""
        cuts = [int(random.integers(first, last, endpoint=True)) for first, last in self.cuts]
        cores = pairwise([0, *cuts, self.length])
        return [(core, (origin, origin + self.window)) for core, origin in zip(cores, self.origins, strict=True)]


@dataclass(frozen=True, slots=True)
class Layout:
    """Describes how one octave is cut, except for the exact positions of the cuts."""

    rows: Axis
    columns: Axis

    @property
    def count(self) -> int:
        return len(self.rows.origins) * len(self.columns.origins)

    @property
    def window(self) -> tuple[int, int]:
        """Returns (height, width) of every window."""
        return self.rows.window, self.columns.window

    @property
    def windows_px(self) -> int:
        """Returns the pixels that the network computes in an iteration: those of all windows."""
        return self.count * math.prod(self.window)

    def tiles(self, random: np.random.Generator) -> list[Tile]:
        """Returns the tiles of one iteration, row by row; every call draws new cuts."""
        rows, columns = self.rows.spans(random), self.columns.spans(random)
        return [Tile((y, x), (top, left)) for y, top in rows for x, left in columns]


def halo_for(stride: int) -> int:
    """Returns the context around a core, in pixels, for a layer whose halo has not been measured.

    Measured halos are between 2 and 6 strides (shared/networks/halos.toml).
    """
    return max(16, 4 * stride)


@lru_cache(maxsize=64)
def choose_layout(
    height: int, width: int, *, tile_size: int, stride: int, halo: int, side_by_side: bool = False
) -> Layout:
    """Returns the layout of a (height, width) octave that computes the fewest pixels.

    tile_size: pixels; a window has at most tile_size² pixels. Memory limits the area, so long windows are allowed, and
    often better: two halves of an image share one seam, four quarters share four.
    side_by_side: also cuts in two an octave that fits one window, which otherwise stays whole, and prefers an even
    number of windows, which two cores or two workers can halve. Two windows on two cores are faster, by up to a third
    on a busy machine, because within one window the cores wait for each other at every operation. The choice does not
    depend on the number of cores, because that would change the pixels.
    """
    odd = IDLE if side_by_side else 0.0
    pair = int(math.sqrt(PAIR / 2 * height * width))
    if side_by_side and 6 * halo <= pair < tile_size:
        halves = _cut(height, width, pair, stride, halo, odd=odd)
        if halves.windows_px <= PAIR * height * width:
            return halves
    if height * width <= tile_size**2:
        return Layout(Axis(height, height, (0,), ()), Axis(width, width, (0,), ()))
    return _cut(height, width, tile_size, stride, halo, odd=odd)


def _cut(height: int, width: int, tile_size: int, stride: int, halo: int, *, odd: float) -> Layout:
    """Returns the layout with the fewest pixels to compute. An odd number of windows counts as `odd` windows more."""
    # Tiles too small for the halo and the room for the cuts get less of both, so that at least half a window remains.
    halo, room = min(halo, tile_size // 6), min(ROOM, tile_size // 8)
    narrowest = tile_size // 4  # narrower cores give noisy gradients
    rows, columns = (_axes(length, stride, halo, room, narrowest) for length in (height, width))
    options: list[Layout] = []
    for down in rows:
        cuts = [Layout(down, across) for across in columns]
        fitting = (cut for cut in cuts if math.prod(cut.window) <= tile_size**2)
        options += list(islice(fitting, 2)) or cuts[-1:]  # more cuts only add overlaps

    def cost(option: Layout) -> tuple[int, float]:
        window_px = math.prod(option.window)
        return max(window_px, tile_size**2), (option.count + odd * (option.count % 2)) * window_px

    # A tile of only a few strides may fit no layout; then the one with the smallest windows is used.
    return min(options, key=cost)


def _axes(length: int, stride: int, halo: int, room: int, narrowest: int) -> list[Axis]:
    """Returns the ways to cut an axis that leave no core narrower than `narrowest`, fewest cuts first."""
    counts = range(2, length // narrowest + 1)
    cut = [_axis(length, count, stride=stride, halo=halo, room=room, narrowest=narrowest) for count in counts]
    return [Axis(length, length, (0,), ())] + [axis for axis in cut if axis is not None]


def _axis(length: int, count: int, *, stride: int, halo: int, room: int, narrowest: int) -> Axis | None:
    """Places `count` windows over `length` pixels, each as short as the overlaps and the grid allow.

    Returns None if the windows would cover the whole axis or a core would be narrower than `narrowest`.
    """
    overlap = 2 * halo + room
    window = math.ceil((length + (count - 1) * overlap) / count)
    window += (length - window) % stride  # congruent with the octave
    while window - stride * math.ceil((length - window) // stride / (count - 1)) < overlap:  # origins are on the grid
        window += stride
    if window >= length:
        return None
    steps = (length - window) // stride
    origins = tuple(stride * (steps * index // (count - 1)) for index in range(count))
    ranges = [(following + halo, origin + window - halo) for origin, following in pairwise(origins)]
    middles = [sum(places) // 2 for places in ranges]
    free = (min(b - a for a, b in pairwise([0, *middles, length])) - narrowest) // 2
    if free < 0:
        return None
    cuts = [(max(a, middle - free), min(b, middle + free)) for (a, b), middle in zip(ranges, middles, strict=True)]
    return Axis(length, window, origins, tuple(cuts))
