"""Builds small networks for fast tests."""

import numpy as np
import tensorflow as tf

from worker.dream.network import Network


def toy_network(*, name="toy", minimum_px=64):
    """Builds three strided convolutions with seeded weights: strides 2, 4 and 8.

    Their activation is smooth (swish). With a ReLU the last bit of an input can switch a unit on or off, and then the
    gradients of two correct implementations differ by far more than rounding.
    """
    random = np.random.default_rng(5)
    kernels = [
        random.normal(0, np.sqrt(2 / (9 * wide)), (3, 3, wide, out)).astype(np.float32)
        for wide, out in ((3, 8), (8, 12), (12, 16))
    ]

    def activations(images, layers):
        found, x = {}, images / 128.0 - 1.0
        for depth, kernel in enumerate(kernels):
            x = tf.nn.silu(tf.nn.conv2d(x, kernel, 2, "SAME"))
            found[f"layer{depth}"] = x
        return [found[layer] for layer in layers]

    strides = {"layer0": 2, "layer1": 4, "layer2": 8}
    return Network(
        name=name,
        weights_sha256="0" * 64,
        minimum_px=minimum_px,
        gradient_bytes_per_px=300,
        strides=strides,
        activations=activations,
    )


def brightness_network():
    """Builds a network whose activation is the image itself, so that the gradient is known: 2 x / n.

    NaN pixels make it overflow.
    """
    return Network(
        name="brightness",
        weights_sha256="0" * 64,
        minimum_px=1,
        gradient_bytes_per_px=50,
        strides={"pixels": 1},
        activations=lambda images, layers: [images for _ in layers],
    )


def photograph(height, width, *, seed=0):
    """Makes smooth noise with structure at several scales, like a photograph: float32 (H, W, 3), 0..255."""
    random = np.random.default_rng(seed)
    image = np.zeros((height, width, 3), np.float32)
    for cells in (3, 11, 40):
        noise = random.random((cells, cells, 3), dtype=np.float32)
        image += tf.image.resize(noise, (height, width), "bicubic").numpy()
    return np.clip(image * 85, 0, 255).astype(np.float32)
