"""Cutting an octave into tiles: cores that partition it, and windows that give them context.

Within one octave all windows have one shape, so that a compiled function and its primitives serve them all, and their
origins are multiples of the target's stride while their sizes equal the octave's modulo it: with "SAME" padding that,
and nothing less, makes every window sample the picture on the same grid. Only the cuts between the cores move.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np

PAIR = 1.2  # an octave is cut in two, for two cores, where the two windows are at most so many times its size
ROOM = 16  # pixels that a cut may move, at least; the grid's jitter moves it by as much again

Span = tuple[int, int]  # from, to (exclusive), pixels
Box = tuple[Span, Span]  # y, x


@dataclass(frozen=True, slots=True)
class Tile:
    """The gradient is computed on the window and kept on the core."""

    core: Box
    window: Box

    @property
    def core_px(self) -> int:
        (top, bottom), (left, right) = self.core
        return (bottom - top) * (right - left)

    @property
    def core_in_window(self) -> tuple[slice, slice]:
        (y, x), (top, left) = self.core, (self.window[0][0], self.window[1][0])
        return slice(y[0] - top, y[1] - top), slice(x[0] - left, x[1] - left)


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis of a layout: windows of one length at `origins`, and where the cuts in their overlaps may fall."""

    length: int
    window: int
    origins: tuple[int, ...]
    cuts: tuple[Span, ...]  # of each cut, the first and the last place (inclusive) that leaves both sides their halo

    def spans(self, random: np.random.Generator) -> list[tuple[Span, Span]]:
        """(core, window) of each tile along the axis, the cuts drawn anew."""
        cuts = [int(random.integers(first, last, endpoint=True)) for first, last in self.cuts]
        cores = pairwise([0, *cuts, self.length])
        return [(core, (origin, origin + self.window)) for core, origin in zip(cores, self.origins, strict=True)]


@dataclass(frozen=True, slots=True)
class Layout:
    """How one octave is cut, all but where exactly."""

    rows: Axis
    columns: Axis

    @property
    def count(self) -> int:
        return len(self.rows.origins) * len(self.columns.origins)

    @property
    def window(self) -> tuple[int, int]:
        """(height, width) of every window."""
        return self.rows.window, self.columns.window

    def tiles(self, random: np.random.Generator) -> list[Tile]:
        """The tiles of one iteration, row by row; every call draws new cuts."""
        rows, columns = self.rows.spans(random), self.columns.spans(random)
        return [Tile((y, x), (top, left)) for y, top in rows for x, left in columns]


def halo_for(stride: int) -> int:
    """Context around a core, pixels: deeper layers see further.

    Measured on Lite0 and Inception5h's shape: the cosine with the whole image's gradient is 0.98 and more with tiles of
    560 px, and the gradient jumps by a fifth more where tiles meet; with twice the halo neither shows, at 1.5 the cost.
    """
    return max(16, stride * 5 // 2)


@lru_cache(maxsize=64)
def layout(height: int, width: int, *, tile_size: int, stride: int, halo: int, side_by_side: bool = False) -> Layout:
    """The cut of a (height, width) octave that computes the fewest pixels, with windows of at most tile_size squared.

    It is the area that memory limits, so long windows are fine, and often better: two halves of a picture share one
    seam where four quarters share four. An octave of that many pixels or fewer stays whole, except `side_by_side`:
    two windows on two cores beat one whose every operation makes the cores wait for each other, by up to a third on
    a busy machine. That does not ask how many cores there are: it would change the pixels.
    """
    pair = int(math.sqrt(PAIR / 2 * height * width))
    if side_by_side and 6 * halo <= pair < tile_size:
        halves = _cut(height, width, pair, stride, halo)
        if _computed_px(halves) <= PAIR * height * width:
            return halves
    if height * width <= tile_size**2:
        return Layout(Axis(height, height, (0,), ()), Axis(width, width, (0,), ()))
    return _cut(height, width, tile_size, stride, halo)


def _cut(height: int, width: int, tile_size: int, stride: int, halo: int) -> Layout:
    # Halo and room for the cuts shrink with tiles too small for them; what is left of a window is half of it and more.
    halo, room = min(halo, tile_size // 6), min(ROOM, tile_size // 8)
    narrowest = tile_size // 4  # narrower cores give noisy gradients
    rows, columns = (_axes(length, stride, halo, room, narrowest) for length in (height, width))
    options = [
        next((cut for cut in cuts if math.prod(cut.window) <= tile_size**2), cuts[-1])  # more cuts only add overlaps
        for cuts in ([Layout(down, across) for across in columns] for down in rows)
    ]
    # A tile of few strides may fit nothing; then the smallest windows have to do.
    return min(options, key=lambda option: (max(math.prod(option.window), tile_size**2), _computed_px(option)))


def _computed_px(option: Layout) -> int:
    return option.count * math.prod(option.window)


def _axes(length: int, stride: int, halo: int, room: int, narrowest: int) -> list[Axis]:
    """The ways to cut an axis that leave no core narrower than that, fewest cuts first."""
    counts = range(2, length // narrowest + 1)
    cut = [_axis(length, count, stride=stride, halo=halo, room=room, narrowest=narrowest) for count in counts]
    return [Axis(length, length, (0,), ())] + [axis for axis in cut if axis is not None]


def _axis(length: int, count: int, *, stride: int, halo: int, room: int, narrowest: int) -> Axis | None:
    """`count` windows over `length` pixels, each as short as the overlaps and the grid allow."""
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
