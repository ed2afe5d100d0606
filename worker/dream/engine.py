"""One dream from beginning to end: pyramid, climb, report. The algorithm's order can be read off `dream`."""

import numpy as np

from shared.params import DreamParams
from worker.dream import ascent as on_host
from worker.dream import device, memory, on_gpu
from worker.dream.ascent import Ascent
from worker.dream.gradient import gradient_of
from worker.dream.memory import TilePlan
from worker.dream.network import Network
from worker.dream.octaves import blend_into, octave_sizes, pyramid
from worker.dream.progress import Progress
from worker.dream.report import IterationStatistics, Report, Timings
from worker.dream.tiling import halo_for
from worker.dream.watch import Image, ResumePoint, Watch


def choose_tile_size(network: Network, params: DreamParams, height: int, width: int) -> int:
    """The tile edge in pixels for such a picture on this device; what the parameters ask for, if they do."""
    return params.tile_size or memory.tile_size_for(network, height, width)


def dream(
    network: Network,
    image: Image,
    params: DreamParams,
    *,
    watch: Watch | None = None,
    resume: ResumePoint | None = None,
    threads: int | None = None,
) -> tuple[Image, Report]:
    """The photograph dreamt over, float32 (H, W, 3), RGB, 0..255, and an account of how.

    image: float32 (H, W, 3), RGB, 0..255; consumed: the engine writes into it, and may return it.
    params: resolved (`shared.catalog.resolve`) and with a tile_size; a missing one is chosen.
    resume: goes on from there, to the very pixels of the undisturbed run; its image is consumed too.
    threads: tiles at once; all cores when None. It changes no pixel.
    Raises NonFiniteGradient and OutOfMemory (neither can be retried), and whatever the watch raises.
    Source: Mordvintsev et al. 2015; tiles, halo and jitter are described in `tiling` and `sampling`.
    """
    image = np.require(image, np.float32, ["C", "W"])
    height, width, _ = image.shape
    threads = threads or device.cores()
    tile_size = resume.tile_size if resume else choose_tile_size(network, params, height, width)
    params = params.model_copy(update={"tile_size": tile_size})
    targets = params.layers or ()
    sizes = octave_sizes(
        height, width, octaves=params.octaves, scale=params.octave_scale, minimum_px=network.minimum_px
    )
    progress = Progress(watch, sizes, params.iterations)
    stride = network.stride([target.layer for target in targets])
    ascent = Ascent(
        params=params,
        gradient=gradient_of(network, targets),
        stride=stride,
        halo=halo_for(stride),
        plan=TilePlan(tile_size, memory.batch_for(network, tile_size) if device.gpu() else threads),
        progress=progress,
    )
    result, iterations = _climb(ascent, image, sizes, resume)
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


def _climb(
    ascent: Ascent, image: Image, sizes: list[tuple[int, int]], resume: ResumePoint | None
) -> tuple[Image, list[IterationStatistics]]:
    """From the smallest octave to the largest, each starting from what the one below has become."""
    progress, iterations = ascent.progress, []
    ascend = on_gpu.ascend if device.gpu() else on_host.ascend
    with progress.timed("resize"):
        octaves = pyramid(image, sizes, progress.step_done)
    if resume is not None:
        octaves[: resume.octave + 1] = [np.require(resume.image, np.float32, ["C", "W"])]
    del image
    dreamt: Image | None = None
    for octave in range(resume.octave if resume else 0, len(sizes)):
        here = octaves.pop(0)
        first_iteration = resume.iteration if resume and octave == resume.octave else 0
        progress.begin(octave, first_iteration)
        if dreamt is not None:
            with progress.timed("resize"):
                blend_into(here, dreamt, ascent.params.blend, progress.step_done)
        dreamt = None  # the octave below is done with
        iterations += ascend(ascent, here, octave, first_iteration)
        dreamt = np.clip(here, 0, 255, out=here)
    if dreamt is None:
        raise ValueError("a resume point lies beyond the last octave")
    return dreamt, iterations
