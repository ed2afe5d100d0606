"""Computes the tiles of one iteration, on this machine's cores and by helpers, in any order.

The result does not depend on who computes a tile, nor on the order, because each tile writes its own core alone, and
that core's mirror image in the margin. While helpers compute the last tiles, this machine's cores blur what is
complete: a blur can't be given away.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

import cv2
import numpy as np
import tensorflow as tf

from shared.errors import NonFiniteGradient
from worker.dream import scratch
from worker.dream.ascent import device
from worker.dream.ascent.blur import Preparation
from worker.dream.ascent.gradient import Gradient
from worker.dream.ascent.helpers import CoreGradient, Helpers
from worker.dream.tiles.sampling import Coverage, Shift, read_window, write_core
from worker.dream.tiles.tiling import Tile
from worker.dream.types import Image

EPSILON = 1e-8  # prevents a division by zero for a flat gradient
CHECK_S = 0.25  # between checks for new helpers and for overdue answers


def core_gradient(gradient: Gradient, window: Image, core: tuple[slice, slice]) -> CoreGradient:
    """Returns the gradient of the window's core.

    window: (h, w, 3); core: rows and columns within it.
    """
    whole = np.asarray(gradient(tf.convert_to_tensor(window[None])))[0]  # (h, w, 3), a view of TensorFlow's memory
    found = whole[core]
    return CoreGradient(found, standard_deviation(found))


def standard_deviation(core: Image) -> float:
    """Returns the standard deviation over pixels and colors, in double precision; NaN if a value is not finite."""
    means, deviations = (moment.ravel() for moment in cv2.meanStdDev(core))  # per color
    if not np.isfinite(deviations).all():
        return float("nan")
    return float(
        np.sqrt(np.mean(deviations**2) + np.var(means))
    )  # variance within the colors plus variance between them


class TileRun:
    """Computes tiles of one image. Iterate to run it: yields each tile once its core is in the gradient.

    Raises NonFiniteGradient, and what the gradient function raises. Once the iteration has ended, also by an exception
    or by closing the iterator, no thread reads the image or writes the gradient.
    """

    def __init__(  # noqa: PLR0913 - what is computed, how, and by whom
        self,
        tiles: Iterable[Tile],
        image: Image,
        gradient: Image,
        shift: Shift,
        *,
        compute: Gradient,
        at_once: int,
        normalized: bool,
        helpers: Helpers | None,
        preparation: Preparation | None = None,
    ) -> None:
        """preparation: of the gradient; begun while tiles are computed, not finished."""
        self._todo = deque(tiles)
        self._unwritten = len(self._todo)
        self._coverage = Coverage(self._todo, shift, gradient)
        self._preparation = preparation
        self._image, self._gradient, self._shift = image, gradient, shift
        self._compute, self._at_once, self._normalized = compute, at_once, normalized
        self._helpers = helpers
        self._pool: ThreadPoolExecutor = device.pool(device.cores())
        self._own: dict[Future[Any], Tile | None] = {}  # None: a strip of the preparation
        self._sent: dict[Future[Any], Tile] = {}

    def __iter__(self) -> Iterator[Tile]:
        try:
            while self._todo or self._own or self._sent:
                self._assign()
                yield from self._completed()
        finally:
            for future in self._own:
                future.cancel()
            if self._helpers is not None:
                self._helpers.abandon()
            wait(self._own)

    def _assign(self) -> None:
        """Gives work to the free cores, and to helpers the tiles that then remain.

        Takes back tiles whose answers are overdue, and at the end those that no helper has begun.
        """
        if self._helpers is not None:
            self._take_back_overdue(self._helpers)
        while len(self._own) < self._at_once and self._start_next():
            pass
        if self._helpers is None:
            return
        while self._todo and self._helpers.has_room(self._todo[0].window_px):
            tile = self._todo.popleft()
            self._sent[self._helpers.submit(tile, lambda tile=tile: self._window(tile))] = tile  # type: ignore[misc]
        for future in reversed(list(self._sent)):  # the last one sent is the least likely to have been begun
            if self._todo or len(self._own) >= self._at_once:
                return
            if not future.done() and self._helpers.take_back(future):
                self._start(self._sent.pop(future))

    def _take_back_overdue(self, helpers: Helpers) -> None:
        for future in [future for future in self._sent if helpers.is_overdue(future)]:
            if helpers.take_back(future):
                self._todo.appendleft(self._sent.pop(future))

    def _start_next(self) -> bool:
        """Begins a tile or a strip on a core. Strips wait until helpers can soon have computed what remains.

        Returns False if there is neither.
        """
        if len(self._todo) <= len(self._sent) and (strip := self._strip()):
            self._own[self._pool.submit(strip)] = None
        elif self._todo:
            self._start(self._todo.popleft())
        else:
            return False
        return True

    def _strip(self) -> Callable[[], None] | None:
        if self._preparation is None or not self._unwritten:  # nothing to wait for: it is finished by others
            return None
        return self._preparation.work(self._coverage.is_complete)

    def _start(self, tile: Tile) -> None:
        self._own[self._pool.submit(self._run, tile)] = tile

    def _completed(self) -> Iterator[Tile]:
        """Waits until a tile is complete, or for a moment, and yields those that are."""
        checks = self._sent or (self._helpers is not None and self._todo)
        done, _ = wait((*self._own, *self._sent), timeout=CHECK_S if checks else None, return_when=FIRST_COMPLETED)
        for future in done:
            result = future.result()
            if future in self._own:
                tile = self._own.pop(future)
                if tile is None:
                    continue
            else:
                tile = self._sent.pop(future)
                if result is None:
                    self._todo.appendleft(tile)
                    continue
                self._write(tile, result)
            self._unwritten -= 1
            self._coverage.add(tile)
            yield tile

    def _run(self, tile: Tile) -> None:
        began_s = time.perf_counter()
        self._write(tile, core_gradient(self._compute, self._window(tile), tile.core_in_window))
        if self._helpers is not None:
            self._helpers.tile_computed(tile.window_px, time.perf_counter() - began_s)

    def _window(self, tile: Tile) -> Image:
        return read_window(self._image, tile.window, self._shift)

    def _write(self, tile: Tile, core: CoreGradient) -> None:
        if not np.isfinite(core.std):
            raise NonFiniteGradient
        scale = 1 / (core.std + EPSILON) if self._normalized else 1.0
        write_core(self._gradient, core.gradient, tile.core, self._shift, scale=scale)
        scratch.release()
