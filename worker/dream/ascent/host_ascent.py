"""Runs gradient ascent for one octave on the CPU: gradient, blur, step. NumPy holds the image, OpenCV blurs it."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import cv2

from shared.errors import NonFiniteGradient
from shared.params import DreamParams
from worker.dream import scratch
from worker.dream.ascent import device, rng
from worker.dream.ascent.blur import Preparation, Statistics, sigmas
from worker.dream.ascent.gradient import Gradient
from worker.dream.ascent.helpers import Helpers
from worker.dream.ascent.memory import OUT_OF_MEMORY, TilePlan
from worker.dream.ascent.strips import strips_of
from worker.dream.ascent.tile_run import EPSILON, TileRun
from worker.dream.inputs import Mask
from worker.dream.postprocess import Share, region
from worker.dream.progress.progress_tracker import ProgressTracker
from worker.dream.report import IterationStatistics
from worker.dream.tiles.tiling import choose_layout
from worker.dream.types import Image

KeepGradient = Callable[
    [int, Image], None
]  # octave, smoothed gradient (h, w, 3) of its last iteration; valid during the call only

FillGradient = Callable[["Ascent", Image, Image, int, int], None]  # see `tiled_gradient`

TINY = 1e-30  # like EPSILON for a gradient in the network's own scale, which may be as small as 1e-8 everywhere


@dataclass(frozen=True, kw_only=True, slots=True)
class Ascent:
    """Holds the settings and collaborators that are the same for every octave."""

    params: DreamParams
    gradient: Gradient
    stride: int  # of the targets' grid, pixels
    halo: int  # pixels
    plan: TilePlan
    progress: ProgressTracker
    mask: Mask | None = None
    keep_gradient: KeepGradient | None = None
    helpers: Helpers | None = None


def ascend(
    ascent: Ascent, image: Image, octave: int, first_iteration: int, *, fill: FillGradient | None = None
) -> list[IterationStatistics]:
    """Runs the octave's iterations from `first_iteration` on, in place. Returns the statistics of each.

    image: float32 (H, W, 3), 0..255 at the start; not clipped afterwards.
    fill: takes the place of `tiled_gradient`, to compute the gradient on a GPU; has its arguments.
    Raises NonFiniteGradient (not retryable), OutOfMemory, and whatever the observer raises.
    """
    params, progress = ascent.params, ascent.progress
    done = []
    gradient: Image = scratch.empty(image.shape)
    share = None if ascent.mask is None else region(ascent.mask, *image.shape[:2])  # (H, W, 1)
    for iteration in range(first_iteration, params.iterations):
        progress.begin(octave, iteration)
        preparation = _preparation(gradient, params, iteration)
        with progress.timed("network"):
            if fill is not None:
                fill(ascent, image, gradient, octave, iteration)
            else:
                tiled_gradient(ascent, image, gradient, octave, iteration, preparation=preparation)
        with progress.timed("blur"):
            prepared = preparation.finish(device.pool(device.cores()), device.cores())
            statistics = _statistics(prepared, params, octave, iteration)
            if ascent.keep_gradient and iteration + 1 == params.iterations:
                ascent.keep_gradient(octave, gradient)
            _step(image, gradient, statistics.step, share)
        done.append(statistics)
        progress.iteration_done(image, ascent.plan.tile_size)
    return done


def _preparation(gradient: Image, params: DreamParams, iteration: int) -> Preparation:
    return Preparation(
        gradient,
        sigmas(iteration, params.iterations)[0],
        over_colors=params.color != "free",
        blurs=params.smooth,
    )


def tiled_gradient(
    ascent: Ascent,
    image: Image,
    gradient: Image,
    octave: int,
    iteration: int,
    *,
    preparation: Preparation | None = None,
) -> None:
    """Fills `gradient` with the objective's gradient.

    preparation: of that gradient, which is begun as far as cores are free while tiles are computed.
    With `normalize: std` each tile's core is divided by its own standard deviation. When memory runs out, starts the
    iteration again with fewer or smaller tiles, which is possible because the image has not been modified yet.
    Raises NonFiniteGradient, OutOfMemory, and whatever the observer raises.
    """
    while True:
        random = rng.generator(ascent.params.seed, octave, iteration)
        shift = rng.shift(random, ascent.params.jitter or 0, *image.shape[:2])
        tile_size, stride = ascent.plan.tile_size, ascent.stride
        layout = choose_layout(
            *image.shape[:2], tile_size=tile_size, stride=stride, halo=ascent.halo, side_by_side=True
        )
        if preparation is not None:
            preparation.begin()
        try:
            run = TileRun(
                layout.tiles(random),
                image,
                gradient,
                shift,
                compute=ascent.gradient,
                at_once=ascent.plan.batch,
                normalized=ascent.params.normalize == "std",
                helpers=ascent.helpers,
                preparation=preparation,
            )
            for tile in run:
                ascent.progress.tile_done(tile.core_px)
        except OUT_OF_MEMORY as exc:
            ascent.plan.shrink(octave, iteration, exc)
            ascent.progress.begin(octave, iteration)
        else:
            return


def _step(image: Image, smoothed: Image, step: float, share: Share | None) -> None:
    """Computes image += step * share * smoothed in place, strip by strip on all cores. May change `smoothed` too."""

    def add(rows: tuple[int, int]) -> None:
        strip = slice(*rows)
        if share is not None:
            smoothed[strip] *= share[strip]
        cv2.scaleAdd(smoothed[strip], step, image[strip], dst=image[strip])
        scratch.release()

    for _ in device.pool(device.cores()).map(add, strips_of(*image.shape[:2])):
        pass


def _statistics(prepared: Statistics, params: DreamParams, octave: int, iteration: int) -> IterationStatistics:
    """Returns the statistics of a blurred gradient. Raises NonFiniteGradient, since a blur may overflow."""
    if not math.isfinite(prepared.std):
        raise NonFiniteGradient
    size = prepared.std + EPSILON if params.normalize == "std" else prepared.mean_size + TINY
    return IterationStatistics(
        octave=octave,
        iteration=iteration,
        minimum=prepared.minimum,
        maximum=prepared.maximum,
        std=prepared.std,
        step=params.step_size / size,
    )
