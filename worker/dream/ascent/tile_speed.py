"""Measures how long a window's gradient takes by its size, and chooses the tile with which an image takes least.

Which size is fastest depends on the processor and its caches as much as on the halos. On a shared machine a clock says
more about the others on it than about us: at a load of 17, times vary tenfold where processor time varies by a tenth.
So processor time is measured; sizes take turns, several times, and the least time of each counts.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from worker.dream.ascent.gradient import Gradient
from worker.dream.tiles.tiling import IDLE, Layout, choose_layout

EDGES_PX = (512, 896, 1536)  # of the windows that are measured; those in between are interpolated
STEP_PX = 128  # between the tiles to choose from
TURNS = 4  # the first one builds primitives


@dataclass(frozen=True, slots=True)
class TileSpeeds:
    """Holds what a pixel costs on this machine, in microseconds of processor time, by the window's edge, pixels.

    at_once: windows that ran side by side.
    """

    us_per_px: Mapping[int, float]
    at_once: int

    def choices(self, least: float, most: float) -> list[int]:
        """Returns the edges within what was measured and between two limits, pixels."""
        edges = range(min(self.us_per_px), max(self.us_per_px) + 1, STEP_PX)
        return [edge for edge in edges if least <= edge <= most]

    def seconds_per_px(self, edge: float) -> float:
        """Returns what a pixel costs in a window with that edge, pixels."""
        edges = sorted(self.us_per_px)
        return float(np.interp(edge, edges, [self.us_per_px[measured] for measured in edges])) / 1e6

    def seconds(self, layout: Layout) -> float:
        """Estimates the processor time of one iteration of an octave, with that of cores that have no window."""
        px = math.prod(layout.window)
        windows = layout.count + IDLE * (-layout.count % self.at_once)
        return windows * px * self.seconds_per_px(math.sqrt(px))

    def best(self, edges: Sequence[int], size: tuple[int, int], *, stride: int, halo: int) -> int:
        """Returns the edge, one of `edges`, with which an octave takes least time; of equal ones the smallest.

        size: (height, width).   stride, halo: the targets', in pixels.
        """

        def octave_s(edge: int) -> float:
            return self.seconds(choose_layout(*size, tile_size=edge, stride=stride, halo=halo, side_by_side=True))

        return min(sorted(edges), key=octave_s)


def measure(
    run: Callable[[int], None],
    *,
    at_once: int,
    limit_s: float,
    edges: Sequence[int] = EDGES_PX,
    clock: Callable[[], float] = time.perf_counter,
    processor: Callable[[], float] = time.process_time,
) -> TileSpeeds | None:
    """Returns the speeds; None if `limit_s` leaves no time for two turns of each size.

    run: computes `at_once` windows of that edge.
    """
    turns: list[dict[int, float]] = []
    first_s: dict[int, float] = {}  # by the clock, in the first turn: the longest that another one may take
    end_s = clock() + limit_s
    for _ in range(TURNS):
        turns.append({})
        for edge in edges:
            start_s, start = clock(), processor()
            if start_s + first_s.get(edge, 0.0) > end_s:
                return _least(turns[1:-1], at_once)
            run(edge)
            turns[-1][edge] = processor() - start
            first_s.setdefault(edge, clock() - start_s)
    return _least(turns[1:], at_once)


def _least(turns: Sequence[Mapping[int, float]], at_once: int) -> TileSpeeds | None:
    if not turns:
        return None
    us = {edge: min(turn[edge] for turn in turns) / at_once / edge**2 * 1e6 for edge in turns[0]}
    return TileSpeeds(us, at_once)


def window_runner(gradient: Gradient, pool: ThreadPoolExecutor, at_once: int) -> Callable[[int], None]:
    """Returns a function that computes the gradients of `at_once` square windows of an edge, side by side."""
    noise = np.random.default_rng(0).random((EDGES_PX[-1], EDGES_PX[-1], 3), dtype=np.float32) * 255

    def run(edge: int) -> None:
        window = np.ascontiguousarray(noise[None, :edge, :edge])
        for _ in pool.map(lambda _: np.asarray(gradient(tf.convert_to_tensor(window))), range(at_once)):
            pass

    return run
