"""Runs gradient ascent for one octave on a GPU, without waiting for the host.

Image, gradient and blur stay on the device. Per iteration the host makes one call per batch of tiles and one for blur
and update (`device_steps`), and fetches five numbers; the image only when an observer reads it. The steps are those of
`host_ascent`. The module also runs on a CPU, so tests need no GPU.

Kernels are queued, so tiles are reported when they are queued, and the host runs ahead by at most one iteration.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby
from typing import TypeVar

import numpy as np
import tensorflow as tf

from shared.errors import NonFiniteGradient, OutOfMemory
from worker.dream.ascent import device, host_ascent, memory, rng
from worker.dream.ascent.host_ascent import Ascent
from worker.dream.ascent.memory import OUT_OF_MEMORY
from worker.dream.gpu import device_steps
from worker.dream.postprocess import region
from worker.dream.report import IterationStatistics
from worker.dream.tiles.sampling import Shift, reflected, write_core
from worker.dream.tiles.tiling import Layout, Span, Tile, choose_layout
from worker.dream.types import Image

T = TypeVar("T")


@dataclass(slots=True)
class Traffic:
    """Counts what passes between host and device, for tests and the benchmark."""

    calls: int = 0  # of compiled functions
    uploads: int = 0  # arrays and tables sent to the device
    fetches: int = 0  # arrays and numbers read from it


traffic = Traffic()


def ascend(ascent: Ascent, image: Image, octave: int, first_iteration: int) -> list[IterationStatistics]:
    """Runs an octave like `host_ascent.ascend`. `image` is written when an observer reads it, and at the end.

    An image that the device's memory can't hold stays on the host, which also blurs it; bands of tiles are streamed.
    """
    with tf.device(device.gpu() or "CPU:0"):
        if not memory.fits_device(*image.shape[:2]):
            return host_ascent.ascend(ascent, image, octave, first_iteration, fill=fill_by_bands)
        return _Octave(ascent, image, octave).run(first_iteration)


class _Octave:
    """Holds one octave on the device."""

    def __init__(self, ascent: Ascent, image: Image, octave: int) -> None:
        self._ascent = ascent
        self._octave = octave
        self._host = image
        self._is_fetched = True
        self._picture = _upload(image)  # (H, W, 3)
        self._buffer = device_steps.gradient_buffer(*image.shape[:2])
        self._mask = [] if ascent.mask is None else [_upload(region(ascent.mask, *image.shape[:2]))]  # (H, W, 1)
        params = ascent.params
        self._update = device_steps.update_step(
            smooth=params.smooth,
            over_colors=params.color != "free",
            by_std=params.normalize == "std",
            masked=ascent.mask is not None,
        )

    def run(self, first_iteration: int) -> list[IterationStatistics]:
        ascent, done = self._ascent, []
        for iteration in range(first_iteration, ascent.params.iterations):
            ascent.progress.begin(self._octave, iteration)
            with ascent.progress.timed("network"):
                shift, not_finite = self._gradient(iteration)
            with ascent.progress.timed("blur"):  # also waits for the network, whose kernels were only queued
                done.append(self._updated(iteration, shift, not_finite))
            ascent.progress.iteration_done(self._fetched, ascent.plan.tile_size)
        self._fetched()
        return done

    def _gradient(self, iteration: int) -> tuple[Shift, tf.Tensor]:
        """Fills the buffer. Returns the shift, and the count of tiles that are not finite, on the device."""

        def fill(tiles: list[Tile], layout: Layout, shift: Shift) -> tuple[Shift, tf.Tensor]:
            window, by = _integers(*layout.window), _integers(*shift)
            into = (self._picture, self._buffer, window, by, _integer(0))
            return shift, _run_batches(self._ascent, tiles, into, tf.zeros([]))

        return _in_memory(self._ascent, self._host, self._octave, iteration, fill)

    def _updated(self, iteration: int, shift: Shift, not_finite: tf.Tensor) -> IterationStatistics:
        """Blurs the gradient and replaces the image by the updated one, unless the gradient is not finite."""
        ascent, params = self._ascent, self._ascent.params
        kernels, colors = device_steps.blur_arguments(iteration, params.iterations, smooth=params.smooth)
        step_size, by = tf.constant(params.step_size, tf.float32), _integers(*shift)
        traffic.uploads += 3 + len(kernels)
        how = (by, kernels, colors, step_size)
        try:
            picture, gradient, numbers = self._update(self._picture, self._buffer, how, not_finite, *self._mask)
        except OUT_OF_MEMORY as exc:
            raise OutOfMemory from exc
        traffic.calls += 1
        minimum, maximum, deviation, step, bad = (float(number) for number in _fetch(numbers))
        if bad or not np.isfinite(step):
            raise NonFiniteGradient
        if ascent.keep_gradient and iteration + 1 == params.iterations:
            ascent.keep_gradient(self._octave, _fetch(gradient))
        self._picture, self._is_fetched = picture, False
        return IterationStatistics(
            octave=self._octave, iteration=iteration, minimum=minimum, maximum=maximum, std=deviation, step=step
        )

    def _fetched(self) -> Image:
        """Returns the image on the host, after a transfer if the device has a newer one."""
        if not self._is_fetched:
            np.copyto(self._host, _fetch(self._picture))
            self._is_fetched = True
        return self._host


def fill_by_bands(ascent: Ascent, image: Image, gradient: Image, octave: int, iteration: int) -> None:
    """Fills `gradient` like `host_ascent.tiled_gradient`, one row of tiles on the device after another.

    The band below is queued before a band's gradient is fetched, so two bands are on the device.
    """

    def fill(tiles: list[Tile], layout: Layout, shift: Shift) -> None:
        not_finite, window, queued = tf.zeros([]), _integers(*layout.window), None
        for _, row in groupby(tiles, key=lambda tile: tile.window[0]):
            some = list(row)
            (top, bottom), (above, below) = some[0].window[0], some[0].core[0]
            band = _upload(image[reflected(top + shift[0], bottom + shift[0], len(image))])  # (h, W, 3)
            buffer = device_steps.gradient_buffer(below - above, image.shape[1])
            into = (band, buffer, window, _integers(-top, shift[1]), _integer(-above))
            not_finite = _run_batches(ascent, some, into, not_finite)
            if queued is not None:
                _store_band(gradient, *queued, shift)
            queued = buffer, (above, below)
        if queued is not None:
            _store_band(gradient, *queued, shift)
        if _fetch(not_finite):
            raise NonFiniteGradient

    _in_memory(ascent, image, octave, iteration, fill)


def _store_band(gradient: Image, buffer: tf.Variable, rows: Span, shift: Shift) -> None:
    write_core(gradient, _fetch(buffer), (rows, (0, gradient.shape[1])), shift, scale=1.0)


def _in_memory(
    ascent: Ascent, image: Image, octave: int, iteration: int, fill: Callable[[list[Tile], Layout, Shift], T]
) -> T:
    """Computes an iteration's gradient by `fill`; when memory runs out, again with fewer or smaller tiles.

    Raises OutOfMemory when they can't be reduced further.
    """
    height, width, _ = image.shape
    while True:
        random = rng.generator(ascent.params.seed, octave, iteration)
        shift = rng.shift(random, ascent.params.jitter or 0, height, width)
        layout = choose_layout(height, width, tile_size=ascent.plan.tile_size, stride=ascent.stride, halo=ascent.halo)
        try:
            return fill(layout.tiles(random), layout, shift)
        except OUT_OF_MEMORY as exc:
            ascent.plan.shrink(octave, iteration, exc)
            ascent.progress.begin(octave, iteration)


def _run_batches(ascent: Ascent, tiles: list[Tile], into: tuple[tf.Tensor, ...], not_finite: tf.Tensor) -> tf.Tensor:
    """Queues the tiles, `batch` per call. Returns the count of tiles that are not finite so far, on the device.

    into: the image, the buffer, the windows' size and the offsets, as `device_steps.tile_step` takes them.
    """
    image, buffer, *where = into
    step = device_steps.tile_step(ascent.gradient, normalized=ascent.params.normalize == "std")
    table, batch = device_steps.places(tiles), ascent.plan.batch
    traffic.uploads += 1 + len(where)
    for first in range(0, len(tiles), batch):
        some = tiles[first : first + batch]
        not_finite = step(image, buffer, (table, _integer(first), _integer(len(some)), *where), not_finite)
        traffic.calls += 1
        for tile in some:
            ascent.progress.tile_done(tile.core_px)
    return not_finite


def _upload(array: Image) -> tf.Tensor:
    traffic.uploads += 1
    return tf.constant(array)


def _fetch(tensor: tf.Tensor) -> Image:
    traffic.fetches += 1
    return tensor.numpy()  # type: ignore[no-any-return]


def _integers(*numbers: int) -> tf.Tensor:
    return tf.constant(numbers, tf.int32)


@lru_cache(maxsize=4096)
def _integer(number: int) -> tf.Tensor:
    """Returns the number as a tensor, kept so that a call's position costs no upload."""
    return tf.constant(number, tf.int32)
