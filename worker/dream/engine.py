"""Runs DeepDream on one photograph from start to end: pyramid, gradient ascent, report.

`dream` shows the order of the algorithm's steps.
"""

from functools import partial

import numpy as np

from shared.networks.network_size import octave_sizes
from shared.params import DreamParams, Target
from worker.dream.ascent import device, memory
from worker.dream.ascent import host_ascent as on_host
from worker.dream.ascent.gradient import Gradient, gradient_of
from worker.dream.ascent.helpers import Helpers
from worker.dream.ascent.host_ascent import Ascent, KeepGradient
from worker.dream.ascent.memory import TilePlan
from worker.dream.ascent.octaves import blend_into, carry_into, enlarged, pyramid
from worker.dream.ascent.tile_speed import TileSpeeds
from worker.dream.gpu import gpu_ascent
from worker.dream.guide import guided_gradient_of
from worker.dream.inputs import Inputs
from worker.dream.network import Network
from worker.dream.postprocess import Light, Photograph, clip, finished, needs_photograph
from worker.dream.progress.observer import EngineObserver, ResumePoint
from worker.dream.progress.progress_tracker import ProgressTracker
from worker.dream.report import IterationStatistics, Report, Timings
from worker.dream.tiles.tiling import choose_layout
from worker.dream.types import Image

NO_INPUTS = Inputs()


def choose_tile_size(
    network: Network, params: DreamParams, height: int, width: int, speeds: TileSpeeds | None = None
) -> int:
    """Returns the tile edge, in pixels, for a photograph of this size: from the parameters, else to suit this device.

    speeds: as measured on this machine, if they were.
    A tile of the parameters that this device's memory can't hold is made as large as it can.
    """
    size = params.size(height, width)
    if params.tile_size is None:
        layers = [target.layer for target in params.layers or ()]
        halo, stride = network.halo(layers), network.stride(layers)
        return memory.tile_size_for(network, *size, halo=halo, stride=stride, speeds=speeds)
    return min(params.tile_size, memory.largest_tile(network, *size))


def dream(  # noqa: PLR0913 - all but three are optional
    network: Network,
    image: Image,
    params: DreamParams,
    *,
    inputs: Inputs = NO_INPUTS,
    keep_gradient: KeepGradient | None = None,
    observer: EngineObserver | None = None,
    resume: ResumePoint | None = None,
    threads: int | None = None,
    helpers: Helpers | None = None,
) -> tuple[Image, Report]:
    """Returns the processed photograph, float32 (H, W, 3), RGB, 0..255, and the report of how it was made.

    image: float32 (H, W, 3), RGB, 0..255; consumed: the engine writes into it, and may return it.
    inputs: an optional guide and an optional mask.
    keep_gradient: called with the smoothed gradient of each octave's last iteration, which it must not keep.
    params: resolved (`shared.networks.catalog.resolve`); a missing tile_size is chosen for this device.
    resume: where to continue, to exactly the pixels of an uninterrupted run; its image is consumed too.
    threads: tiles computed at once; all cores when None. It does not affect the pixels.
    helpers: other workers that compute tiles; they do not affect the pixels. A GPU does without them.
    Raises NonFiniteGradient and OutOfMemory (neither can be retried), and whatever the observer raises.
    Source: Mordvintsev et al. 2015; tiles, halo and jitter are described in `tiling` and `sampling`.
    """
    image = np.require(image, np.float32, ["C", "W"])
    height, width, _ = image.shape
    threads = threads or device.cores()
    tile_size = resume.tile_size if resume else choose_tile_size(network, params, height, width)
    image = np.require(enlarged(image, *params.size(height, width)), np.float32, ["C", "W"])
    height, width, _ = image.shape
    photograph = Photograph.keep(image) if needs_photograph(params, inputs.mask) else None
    params = params.model_copy(update={"tile_size": tile_size})
    targets = params.layers or ()
    sizes = octave_sizes(
        height, width, octaves=params.octaves, scale=params.octave_scale, minimum_px=network.minimum_px
    )
    layers = [target.layer for target in targets]
    stride, halo = network.stride(layers), network.halo(layers)
    cut = partial(choose_layout, tile_size=tile_size, stride=stride, halo=halo, side_by_side=device.gpu() is None)
    windows_px = tuple(cut(*size).windows_px for size in sizes)
    progress = ProgressTracker(observer, sizes, params.iterations, windows_px=windows_px, tile_size=tile_size)
    ascent = Ascent(
        params=params,
        gradient=gradient_for(network, targets, inputs.guide),
        stride=stride,
        halo=halo,
        plan=TilePlan(tile_size, memory.batch_for(network, tile_size, height, width, threads)),
        progress=progress,
        mask=inputs.mask,
        keep_gradient=keep_gradient,
        helpers=helpers,
    )
    result, iterations = _ascend_octaves(ascent, image, sizes, resume)
    if photograph is not None:
        result = finished(result, photograph, params, inputs.mask, progress.step_done)
    report = Report(
        params=params,
        model=network.name,
        weights_sha256=network.weights_sha256,
        device=device.describe(),
        threads=threads,
        octave_sizes=tuple(sizes),
        tile_size=ascent.plan.tile_size,
        tile_changes=tuple(ascent.plan.changes),
        iterations=tuple(iterations),
        timings=Timings(
            network_s=progress.seconds("network"),
            blur_s=progress.seconds("blur"),
            resize_s=progress.seconds("resize"),
            total_s=progress.total_s(),
        ),
        versions=device.versions(),
    )
    return result, report


def gradient_for(network: Network, targets: tuple[Target, ...], guide: Image | None) -> Gradient:
    """Returns the gradient of the objective, with or without a guide."""
    return gradient_of(network, targets) if guide is None else guided_gradient_of(network, targets, guide)


def _ascend_octaves(
    ascent: Ascent, image: Image, sizes: list[tuple[int, int]], resume: ResumePoint | None
) -> tuple[Image, list[IterationStatistics]]:
    """Runs gradient ascent from the smallest octave to the largest, each starting from the result of the one below."""
    progress, iterations = ascent.progress, []
    ascend = gpu_ascent.ascend if device.gpu() else on_host.ascend
    with progress.timed("resize"):
        octaves = pyramid(image, sizes, progress.step_done)
    light = Light(octaves) if ascent.params.brightness_lock else None
    if resume is not None:
        octaves[: resume.octave + 1] = [np.require(resume.image, np.float32, ["C", "W"])]
    del image
    dreamed: Image | None = None
    for octave in range(resume.octave if resume else 0, len(sizes)):
        here = octaves.pop(0)
        first_iteration = resume.iteration if resume and octave == resume.octave else 0
        progress.begin(octave, first_iteration)
        if dreamed is not None:
            with progress.timed("resize"):
                if ascent.params.detail == "carry":
                    carry_into(here, dreamed, progress.step_done)
                else:
                    blend_into(here, dreamed, ascent.params.blend, progress.step_done)
        dreamed = None  # frees the octave below
        device.release_freed_memory()
        iterations += ascend(ascent, here, octave, first_iteration)
        clip(here)
        if light is not None:
            here = light.restored(here, octave)
            clip(here)
        dreamed = here
    if dreamed is None:
        raise ValueError(f"The resume point lies beyond the last octave. Its octave must be below {len(sizes)}.")
    return dreamed, iterations
