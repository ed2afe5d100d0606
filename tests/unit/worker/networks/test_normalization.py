import numpy as np
import pytest
import tensorflow as tf

from worker.networks.normalization import BETAS, LocalResponseNormalization


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize(("radius", "bias", "alpha"), [(2, 1.0, 2e-5), (5, 2.0, 1e-4), (2, 1.0, 0.1)])
@pytest.mark.parametrize("channels", [3, 64])
def test_value_and_gradient_are_tensorflows(beta, radius, bias, alpha, channels):
    random = np.random.default_rng(7)
    x = tf.constant(random.uniform(-200, 200, (2, 5, 7, channels)).astype(np.float32))
    upstream = tf.constant(random.standard_normal((2, 5, 7, channels), np.float32))

    def tensorflows(x):
        return tf.nn.local_response_normalization(x, radius, bias, alpha, beta)

    ours = LocalResponseNormalization(radius, bias, alpha, beta)

    for computed, expected in zip(
        value_and_gradient(ours, x, upstream), value_and_gradient(tensorflows, x, upstream), strict=True
    ):
        np.testing.assert_allclose(computed, expected, rtol=1e-5, atol=2e-6 * np.abs(expected).max())


def value_and_gradient(function, x, upstream):
    @tf.function
    def both(x):
        value = function(x)
        return value, tf.gradients(value, x, upstream)[0]

    return both(x)
