import numpy as np
import pytest
import tensorflow as tf

from shared.params import Target
from worker.dream.ascent import subpixel
from worker.dream.ascent.gradient import gradient_of
from worker.dream.network import Network


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize("edge", [2, 3, 4, 5, 7, 8, 11])
@pytest.mark.parametrize(("height", "width"), [(12, 12), (13, 16), (16, 13), (23, 15)])
def test_it_is_tensorflows_transposed_convolution(padding, edge, height, width):
    random = np.random.default_rng(edge)
    kernel = tf.constant(random.standard_normal((edge, edge, 3, 5), np.float32))
    shape = (2, height, width, 3)
    upstream = tf.constant(random.standard_normal(tf.nn.conv2d(tf.zeros(shape), kernel, 2, padding).shape, np.float32))

    computed = subpixel.transposed_convolution(upstream, kernel, tf.constant(shape), padding)

    expected = tf.nn.conv2d_transpose(upstream, kernel, shape, 2, padding)
    np.testing.assert_allclose(computed, expected, atol=1e-6 * edge**2)


@pytest.mark.parametrize("changed", [{}, {"strides": 1}, {"strides": 3}, {"dilations": 2, "strides": 1}, {"edge": 1}])
@pytest.mark.parametrize("variable", [False, True])
def test_a_network_has_the_gradient_that_the_tape_finds(changed, variable):
    options = {"edge": 3, "strides": 2, "dilations": 1, **changed}
    edge = options.pop("edge")
    kernel = np.random.default_rng(5).standard_normal((edge, edge, 3, 5), np.float32)
    kernel = tf.Variable(kernel) if variable else kernel
    images = tf.constant(np.random.default_rng(6).uniform(0, 255, (2, 21, 34, 3)).astype(np.float32))

    computed = gradient_of(a_network(lambda x: tf.nn.conv2d(x, kernel, padding="SAME", **options)), TARGETS)

    with tf.GradientTape() as tape:
        tape.watch(images)
        value = tf.reduce_sum(
            tf.reduce_mean(tf.square(tf.nn.conv2d(images, kernel, padding="SAME", **options)), (1, 2, 3))
        )
    expected = tape.gradient(value, images)
    np.testing.assert_allclose(computed(images), expected, atol=1e-6 * np.abs(expected).max())


def test_only_the_convolution_of_the_image_is_replaced():
    random = np.random.default_rng(5)
    first, second = (random.standard_normal((3, 3, *ends), np.float32) for ends in ((3, 8), (8, 8)))

    computed = gradient_of(
        a_network(lambda x: tf.nn.conv2d(tf.nn.conv2d(x, first, 2, "SAME"), second, 2, "SAME")), TARGETS
    )

    operations = [op.type for op in computed.graph.get_operations()]
    assert (operations.count("Conv2DBackpropInput"), operations.count("DepthToSpace")) == (1, 1)


TARGETS = (Target(layer="layer"),)


def a_network(layer):
    """A network of that one layer."""
    return Network(
        name="one", weights_sha256="0" * 64, minimum_px=16, gradient_bytes_per_px=50, strides={"layer": 2},
        activations=lambda images, layers: [layer(images)],
    )  # fmt: skip
