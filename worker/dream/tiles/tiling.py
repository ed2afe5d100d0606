"""Cuts an octave into tiles: cores that partition it, and windows that give the cores context.

Within one octave all windows have the same shape, so that one compiled function and its primitives serve them all. The
windows' origins are multiples of the target's stride, and their sizes are congruent with the octave's modulo the
stride. With "SAME" padding both conditions are necessary and sufficient for every window to sample the image on the
same grid. Only the cuts between the cores move.
"""

import math
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache, partial
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
    if _weight(height, width, stride) <= tile_size**2:
        return Layout(Axis(height, height, (0,), ()), Axis(width, width, (0,), ()))
    return _cut(height, width, tile_size, stride, halo, odd=odd)


def _weight(height: int, width: int, stride: int) -> int:
    """Returns the pixels that count: a side shorter than a step of the targets' grid costs as much as a whole step."""
    return max(height, stride) * max(width, stride)


def _cut(height: int, width: int, tile_size: int, stride: int, halo: int, *, odd: float) -> Layout:
    """Returns the layout with the fewest pixels to compute. An odd number of windows counts as `odd` windows more.

    Of a long and thin octave there are very many, so it looks only at those that may be the best one.
    """
    # Tiles too small for the halo and the room for the cuts get less of both, so that at least half a window remains.
    halo, room = min(halo, tile_size // 6), min(ROOM, tile_size // 8)
    overlap, narrowest, most = 2 * halo + room, tile_size // 4, tile_size**2  # narrower cores give noisy gradients
    axes = partial(_axes, stride=stride, halo=halo, room=room, narrowest=narrowest)

    def cost(option: Layout) -> tuple[int, float]:
        weight = _weight(*option.window, stride)
        return max(weight, most), (option.count + odd * (option.count % 2)) * weight

    best: Layout | None = None
    tallest = most // max(min(width, narrowest), stride)

    def may_be_best(count: int, window: int) -> bool:
        least = count * max(window, stride) * max(width, stride)  # for any columns
        return window <= tallest and (best is None or least <= cost(best)[1])

    for down in axes(height, fewest=_fewest(height, tallest, overlap), wanted=may_be_best):
        widest = most // max(down.window, stride)
        columns = axes(width, fewest=_fewest(width, widest, overlap), wanted=partial(_is_fitting, widest))
        cuts = (Layout(down, across) for across in columns)
        fitting = (cut for cut in cuts if _weight(*cut.window, stride) <= most)
        for option in islice(fitting, 2):  # more cuts only add overlaps
            if best is None or cost(option) < cost(best):
                best = option
    if best is None:  # a tile of only a few strides may fit no layout; then the one with the smallest windows is used
        narrow = deque(axes(width), maxlen=1).pop()
        best = min((Layout(down, narrow) for down in axes(height)), key=cost)
    return best


def _is_fitting(longest: int, _count: int, window: int) -> bool:
    return window <= longest


def _fewest(length: int, longest: int, overlap: int) -> int:
    """Returns how many windows of at most the longest length cover an axis, at least."""
    if length <= longest:
        return 1
    return math.ceil((length - overlap) / (longest - overlap)) if longest > overlap else length


def _axes(
    length: int,
    *,
    stride: int,
    halo: int,
    room: int,
    narrowest: int,
    fewest: int = 1,
    wanted: Callable[[int, int], bool] = lambda _count, _window: True,
) -> Iterator[Axis]:
    """Yields the ways to cut an axis that leave no core narrower than `narrowest`, fewest cuts first.

    fewest: windows.   wanted: tells of a number of windows and their length whether to yield that way.
    """
    if fewest == 1:
        yield Axis(length, length, (0,), ())
    for count in range(max(fewest, 2), length // narrowest + 1):
        window = _window(length, count, stride=stride, overlap=2 * halo + room)
        if window < length and wanted(count, window):
            axis = _axis(length, count, window, stride=stride, halo=halo, narrowest=narrowest)
            if axis is not None:
                yield axis


def _window(length: int, count: int, *, stride: int, overlap: int) -> int:
    """Returns the length of `count` windows over `length` pixels, as short as the overlaps and the grid allow."""
    window = math.ceil((length + (count - 1) * overlap) / count)
    window += (length - window) % stride  # congruent with the octave
    while window - stride * math.ceil((length - window) // stride / (count - 1)) < overlap:  # origins are on the grid
        window += stride
    return window


def _axis(length: int, count: int, window: int, *, stride: int, halo: int, narrowest: int) -> Axis | None:
    """Places the windows evenly on the grid. Returns None if a core would be narrower than `narrowest`."""
    steps = (length - window) // stride
    origins = stride * (steps * np.arange(count) // (count - 1))
    firsts, lasts = origins[1:] + halo, origins[:-1] + window - halo
    middles = (firsts + lasts) // 2
    free = (int(np.diff(middles, prepend=0, append=length).min()) - narrowest) // 2
    if free < 0:
        return None
    cuts = zip(np.maximum(firsts, middles - free).tolist(), np.minimum(lasts, middles + free).tolist(), strict=True)
    return Axis(length, window, tuple(origins.tolist()), tuple(cuts))
