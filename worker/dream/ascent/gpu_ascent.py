"""Runs gradient ascent for one octave on a GPU: image, gradient and blur stay on the device, tiles run in batches.

The steps are those of `host_ascent`, in TensorFlow operations. The module also runs on a CPU, so tests need no GPU.
"""

import numpy as np
import tensorflow as tf

from shared.errors import NonFiniteGradient
from shared.params import DreamParams
from worker.dream.ascent import device, rng
from worker.dream.ascent.blur import color_matrix, mean_color_matrix, radius, sigmas
from worker.dream.ascent.host_ascent import EPSILON, TINY, Ascent
from worker.dream.ascent.memory import OUT_OF_MEMORY
from worker.dream.ascent.sampling import Shift, reflected
from worker.dream.ascent.tiling import Tile, layout
from worker.dream.postprocess import region
from worker.dream.report import IterationStatistics
from worker.dream.types import Image


def ascend(ascent: Ascent, image: Image, octave: int, first_iteration: int) -> list[IterationStatistics]:
    """Runs an octave like `host_ascent.ascend`.

    Copies the device's image to `image` after each iteration, for checkpoints and previews.
    """
    done = []
    with tf.device(device.gpu() or "CPU:0"):
        picture = tf.constant(image)  # (H, W, 3)
        share = None if ascent.mask is None else tf.constant(region(ascent.mask, *image.shape[:2]))  # (H, W, 1)
        for iteration in range(first_iteration, ascent.params.iterations):
            ascent.progress.begin(octave, iteration)
            with ascent.progress.timed("network"):
                gradient = _tiled_gradient(ascent, picture, octave, iteration)
            with ascent.progress.timed("blur"):
                gradient = _prepared(gradient, ascent.params, iteration)
                statistics = _statistics(gradient, ascent.params, octave, iteration)
                if ascent.keep_gradient and iteration + 1 == ascent.params.iterations:
                    ascent.keep_gradient(octave, gradient.numpy())
                picture += (gradient if share is None else gradient * share) * statistics.step
                np.copyto(image, picture.numpy())
            done.append(statistics)
            ascent.progress.iteration_done(image, ascent.plan.tile_size)
    return done


def _prepared(gradient: tf.Tensor, params: DreamParams, iteration: int) -> tf.Tensor:
    """Returns the blurred and color-mixed gradient, (H, W, 3), like `host_ascent._prepared`."""
    three, over_colors = sigmas(iteration, params.iterations), params.color != "free"
    if params.smooth:
        return smooth(gradient, three, over_colors=over_colors)
    return tf.linalg.matmul(gradient, mean_color_matrix(three[0]), transpose_b=True) if over_colors else gradient


def smooth(gradient: tf.Tensor, three_sigmas: tuple[float, float, float], *, over_colors: bool) -> tf.Tensor:
    """Returns the sum of three Gaussian blurs of a (H, W, 3) gradient; over the colors as well if asked."""
    return tf.add_n([_gaussian(gradient, sigma, over_colors=over_colors) for sigma in three_sigmas])


def _gaussian(gradient: tf.Tensor, sigma: float, *, over_colors: bool) -> tf.Tensor:
    """Applies G(sigma), cut at 4 sigma, with half-sample reflection: equals scipy.ndimage's to float precision."""
    around = radius(sigma)
    weights = np.exp(-0.5 * (np.arange(-around, around + 1) / sigma) ** 2)
    kernel = tf.constant(np.tile((weights / weights.sum())[:, None], 3), tf.float32)  # (taps, 3)
    x = reflect(reflect(gradient, around, axis=0), around, axis=1)[None]  # (1, H + 2r, W + 2r, 3)
    x = tf.nn.depthwise_conv2d(x, kernel[:, None, :, None], [1, 1, 1, 1], "VALID")  # (1, H, W + 2r, 3)
    x = tf.nn.depthwise_conv2d(x, kernel[None, :, :, None], [1, 1, 1, 1], "VALID")[0]  # (H, W, 3)
    return tf.linalg.matmul(x, color_matrix(sigma), transpose_b=True) if over_colors else x


def reflect(x: tf.Tensor, around: int, *, axis: int) -> tf.Tensor:
    length = int(x.shape[axis])
    return tf.gather(x, reflected(-around, length + around, length), axis=axis)


def _move(x: tf.Tensor, shift: Shift) -> tf.Tensor:
    """Moves an image so that (y, x) holds x[y + dy, x + dx]; the uncovered margin is filled by reflection."""
    for axis, by in enumerate(shift):
        length = int(x.shape[axis])
        x = tf.gather(x, reflected(by, length + by, length), axis=axis)
    return x


def _tiled_gradient(ascent: Ascent, picture: tf.Tensor, octave: int, iteration: int) -> tf.Tensor:
    """Returns the objective's gradient, (H, W, 3), on the device, like `host_ascent.tiled_gradient`."""
    height, width, _ = (int(length) for length in picture.shape)
    while True:
        random = rng.generator(ascent.params.seed, octave, iteration)
        shift = rng.shift(random, ascent.params.jitter or 0, height, width)
        size = ascent.plan.tile_size
        tiles = layout(height, width, tile_size=size, stride=ascent.stride, halo=ascent.halo).tiles(random)
        try:
            gradient = _batched(ascent, _move(picture, shift), tiles)
            return _move(gradient, (-shift[0], -shift[1]))
        except OUT_OF_MEMORY as exc:
            ascent.plan.shrink(octave, iteration, exc)
            ascent.progress.begin(octave, iteration)


def _batched(ascent: Ascent, moved: tf.Tensor, tiles: list[Tile]) -> tf.Tensor:
    """Returns the gradient of the moved image, computed `batch` windows at a time."""
    gradient = tf.Variable(tf.zeros_like(moved))
    for first in range(0, len(tiles), ascent.plan.batch):
        batch = tiles[first : first + ascent.plan.batch]
        windows = tf.stack([moved[slice(*tile.window[0]), slice(*tile.window[1])] for tile in batch])  # (n, h, w, 3)
        for tile, whole in zip(batch, tf.unstack(ascent.gradient(windows)), strict=True):
            core = whole[tile.core_in_window]
            deviation = tf.math.reduce_std(core)
            if not np.isfinite(deviation.numpy()):
                raise NonFiniteGradient
            if ascent.params.normalize == "std":
                core /= deviation + EPSILON
            gradient[slice(*tile.core[0]), slice(*tile.core[1])].assign(core)
            ascent.progress.tile_done(tile.core_px)
    return gradient.read_value()


def _statistics(prepared: tf.Tensor, params: DreamParams, octave: int, iteration: int) -> IterationStatistics:
    deviation = float(tf.math.reduce_std(prepared))
    size = deviation + EPSILON if params.normalize == "std" else float(tf.reduce_mean(tf.abs(prepared))) + TINY
    return IterationStatistics(
        octave=octave,
        iteration=iteration,
        minimum=float(tf.reduce_min(prepared)),
        maximum=float(tf.reduce_max(prepared)),
        std=deviation,
        step=params.step_size / size,
    )
