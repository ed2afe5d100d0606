"""Compiles the steps of `gpu_ascent`: whatever happens between two transfers is one call and stays on the device.

Each function is traced once for all sizes of pictures, windows and blurs. TensorFlow keeps int32 tensors in the host's
memory, where kernels read positions and sizes without a transfer. Nothing here scatters: TensorFlow's scatter is slow
or not deterministic on GPUs, so cores are written as slices, and whatever moves pixels gathers them.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from worker.dream.ascent.blur import color_matrix, mean_color_matrix, radius, sigmas
from worker.dream.ascent.gradient import Gradient
from worker.dream.ascent.host_ascent import TINY
from worker.dream.ascent.tile_run import EPSILON
from worker.dream.tiles.tiling import Tile

Step = Callable[..., tf.Tensor]

_IMAGE, _SCALAR = tf.TensorSpec([None, None, 3], tf.float32), tf.TensorSpec([], tf.float32)
_INTEGER, _PAIR = tf.TensorSpec([], tf.int32), tf.TensorSpec([2], tf.int32)
_TABLE = tf.TensorSpec([None, 6], tf.int32)


def gradient_buffer(height: int, width: int) -> tf.Variable:
    """Returns a gradient of zeros, (height, width, 3). Buffers of every size have one type, so they share a trace."""
    return tf.Variable(tf.zeros([height, width, 3]), trainable=False, shape=tf.TensorShape([None, None, 3]))


def places(tiles: list[Tile]) -> tf.Tensor:
    """Returns the table that `tile_step` reads: per tile its window's y, x and its core's y, x, height, width."""
    rows = []
    for tile in tiles:
        (top, bottom), (left, right) = tile.core
        rows.append((tile.window[0][0], tile.window[1][0], top, left, bottom - top, right - left))
    return tf.constant(rows, tf.int32)


@lru_cache(maxsize=4)  # each holds a trace of the network
def tile_step(gradient: Gradient, *, normalized: bool) -> Step:
    """Compiles the gradient of one batch of tiles: reads windows, writes cores, counts those that are not finite.

    The function takes the image (h, w, 3), the buffer for the gradient, and of the tiles: the table of places; the
    first and the number of those to compute; the windows' (height, width); and the offsets, in pixels, that are added
    to places: (y, x) of windows in the image, where pixels outside it are reflected, and y of cores in the buffer. It
    also takes the count so far and returns the new one, so that the host need not look at it.
    """

    def step(image: tf.Tensor, buffer: tf.Variable, tiles: tuple[tf.Tensor, ...], not_finite: tf.Tensor) -> tf.Tensor:
        table, first, count, size, shift, into = tiles
        chosen = table[first : first + count]  # (n, 6)
        whole = gradient(_windows(image, chosen, size, shift))  # (n, h, w, 3)

        def one_core(index: tf.Tensor, bad: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            top, left, y, x, height, width = tf.unstack(chosen[index])
            core = tf.slice(whole, [index, y - top, x - left, 0], [1, height, width, 3])[0]
            deviation = tf.math.reduce_std(core)
            if normalized:
                core /= deviation + EPSILON
            buffer[y + into : y + into + height, x : x + width].assign(core)
            return index + 1, bad + tf.cast(~tf.math.is_finite(deviation), tf.float32)

        loop = tf.while_loop(lambda index, _: index < count, one_core, (0, not_finite), parallel_iterations=1)
        return loop[1]

    tiles = (_TABLE, _INTEGER, _INTEGER, _PAIR, _PAIR, _INTEGER)
    return tf.function(step).get_concrete_function(_IMAGE, gradient_buffer(1, 1), tiles, _SCALAR)  # type: ignore[no-any-return]


def _windows(image: tf.Tensor, chosen: tf.Tensor, size: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
    """Returns the tiles' windows of the moved image, (n, h, w, 3)."""
    height, width = tf.shape(image)[0], tf.shape(image)[1]
    rows = _reflected(chosen[:, :1] + shift[0] + tf.range(size[0]), height)  # (n, h)
    columns = _reflected(chosen[:, 1:2] + shift[1] + tf.range(size[1]), width)  # (n, w)
    wide = tf.cast(width, tf.int64)  # a large image has more values than int32 counts
    pixels = tf.cast(rows, tf.int64)[:, :, None] * wide + tf.cast(columns, tf.int64)[:, None, :]
    return tf.gather(tf.reshape(image, [-1, 3]), pixels)


def _reflected(positions: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """Folds positions outside 0..length back by half-sample reflection, like `sampling.reflected`."""
    positions %= 2 * length
    return tf.minimum(positions, 2 * length - 1 - positions)


@lru_cache(maxsize=8)
def update_step(*, smooth: bool, over_colors: bool, by_std: bool, masked: bool) -> Step:
    """Compiles the second half of an iteration: blurs the gradient, mixes its colors, updates the image.

    The function takes the image (H, W, 3); the buffer with the moved image's gradient; a tuple of how far the image was
    moved, (y, x) pixels, the kernels and color matrices of `blur_arguments`, and the step size; the count of tiles that
    are not finite; and, if masked, the mask (H, W, 1). It returns the new image, the blurred gradient, and five numbers
    of it: minimum, maximum, standard deviation, the factor of the step, and that count.
    """

    def step(
        image: tf.Tensor, buffer: tf.Variable, how: Sequence[Any], not_finite: tf.Tensor, *mask: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        shift, kernels, colors, step_size = how
        gradient = tf.ensure_shape(buffer.read_value(), [None, None, 3])
        for axis in (0, 1):
            length = tf.shape(gradient)[axis]
            gradient = tf.gather(gradient, _reflected(tf.range(length) - shift[axis], length), axis=axis)
        if smooth:
            blurred = (_gaussian(gradient, kernel) for kernel in kernels)
            gradient = tf.add_n([_mixed(x, colors[i]) if over_colors else x for i, x in enumerate(blurred)])
        elif over_colors:
            gradient = _mixed(gradient, colors[0])
        deviation = tf.math.reduce_std(gradient)
        size = deviation + EPSILON if by_std else tf.reduce_mean(tf.abs(gradient)) + TINY
        factor = step_size / size
        numbers = [tf.reduce_min(gradient), tf.reduce_max(gradient), deviation, factor, not_finite]
        change = gradient * mask[0] if mask else gradient
        return image + change * factor, gradient, tf.stack(numbers)

    kernels = (tf.TensorSpec([None], tf.float32),) * 3
    colors, mask = tf.TensorSpec([None, 3, 3], tf.float32), tf.TensorSpec([None, None, 1], tf.float32)
    arguments = [_IMAGE, gradient_buffer(1, 1), (_PAIR, kernels, colors, _SCALAR), _SCALAR, *([mask] if masked else [])]
    return tf.function(step).get_concrete_function(*arguments)  # type: ignore[no-any-return]


def blur_arguments(iteration: int, iterations: int, *, smooth: bool) -> tuple[tuple[tf.Tensor, ...], tf.Tensor]:
    """Returns an iteration's three Gaussian kernels, each (taps,), and color matrices, (3, 3, 3), or (1, 3, 3)."""
    three = sigmas(iteration, iterations)
    matrices = [color_matrix(sigma) for sigma in three] if smooth else [mean_color_matrix(three[0])]
    return tuple(tf.constant(_kernel(sigma)) for sigma in three), tf.constant(np.stack(matrices))


def _kernel(sigma: float) -> npt.NDArray[np.float32]:
    """Returns G(sigma), cut at 4 sigma as SciPy cuts it."""
    around = radius(sigma)
    weights = np.exp(-0.5 * (np.arange(-around, around + 1) / sigma) ** 2)
    return np.asarray(weights / weights.sum(), np.float32)


def _gaussian(gradient: tf.Tensor, kernel: tf.Tensor) -> tf.Tensor:
    """Blurs over y and x, with half-sample reflection: equals scipy.ndimage's to float precision."""
    around = tf.size(kernel) // 2
    x = gradient
    for axis in (0, 1):
        length = tf.shape(gradient)[axis]
        x = tf.gather(x, _reflected(tf.range(-around, length + around), length), axis=axis)  # (H + 2r, W + 2r, 3)
    three = tf.tile(kernel[:, None], [1, 3])  # (taps, 3)
    x = tf.nn.depthwise_conv2d(x[None], three[:, None, :, None], [1, 1, 1, 1], "VALID")  # (1, H, W + 2r, 3)
    return tf.nn.depthwise_conv2d(x, three[None, :, :, None], [1, 1, 1, 1], "VALID")[0]  # (H, W, 3)


def _mixed(gradient: tf.Tensor, colors: tf.Tensor) -> tf.Tensor:
    return tf.linalg.matmul(gradient, colors, transpose_b=True)
