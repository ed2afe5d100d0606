"""A plain DeepDream implementation, for comparison. It too uses oneDNN and a compiled function.

Tiles of about 400 px from a random origin, clipped at the picture's borders, one gradient call after another, SciPy's
Gaussians, as in the notebooks of the field (Mordvintsev 2015; Pedersen 2016, tutorial 14).
"""

import numpy as np
import tensorflow as tf

from tests.benchmarks.engine import reference

TILE_PX = 400


def compiled(network, targets):
    """Returns a function for the gradient of one window (h, w, 3), traced once for all shapes."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, 3], tf.float32)])
    def gradient(window):
        activations = network.activations(window[None], [target.layer for target in targets])
        objective = tf.add_n([tf.reduce_mean(tf.square(activation)) for activation in activations])
        return tf.gradients(objective, window)[0]

    return lambda window: gradient(tf.constant(window)).numpy()


def dream(image, params, gradient, minimum_px):
    random = np.random.default_rng(params.seed)

    def ascend(picture, _octave):
        for iteration in range(params.iterations):
            g = tiled_gradient(picture, gradient, random)
            smoothed = reference.smooth(g, iteration, params.iterations, params.color)
            picture = picture + smoothed * (params.step_size / (np.std(smoothed) + 1e-8))
        return picture

    return reference.dream(image, params, minimum_px, ascend)


def tiled_gradient(image, gradient, random):
    height, width, _ = image.shape
    tile_h, tile_w = even_tile(height), even_tile(width)
    g = np.zeros_like(image)
    y = int(random.integers(-3 * tile_h // 4, -tile_h // 4))
    while y < height:
        x = int(random.integers(-3 * tile_w // 4, -tile_w // 4))
        while x < width:
            window = slice(max(y, 0), min(y + tile_h, height)), slice(max(x, 0), min(x + tile_w, width))
            on_window = gradient(image[window])
            g[window] = on_window / (np.std(on_window) + 1e-8)
            x += tile_w
        y += tile_h
    return g


def even_tile(length):
    """Returns the tile size near 400 px that divides the image evenly."""
    return int(np.ceil(length / max(1, round(length / TILE_PX))))
