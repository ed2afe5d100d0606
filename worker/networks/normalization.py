"""Computes local response normalization, in which GoogLeNet spends a fifth of its time with TensorFlow's operation.

Here the sum over neighbors is a 1 x 1 convolution with a band of ones, and the power one or two square roots: that
takes a third of the time. Source: Krizhevsky et al. 2012, section 3.3.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

OPERATION = "LRN"
GRADIENT = "BandLRN"  # the name under which TensorFlow finds this gradient
BETAS = (0.5, 0.75)  # the exponents that networks have


@dataclass(frozen=True, slots=True)
class LocalResponseNormalization:
    """Computes x (bias + alpha Σ x²)^-beta; the sum is over a channel and `radius` channels on either side of it.

    That is `tf.nn.local_response_normalization`, apart from rounding.
    """

    radius: int
    bias: float
    alpha: float
    beta: float  # one of BETAS

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        """Returns the normalized x, (n, h, w, c)."""

        @tf.custom_gradient  # type: ignore[untyped-decorator]
        def normalize(x: tf.Tensor) -> tuple[tf.Tensor, Callable[[tf.Tensor], tf.Tensor]]:
            root = self._inverse_root(x)
            return x * self._power(root), lambda upstream: self._gradient(x, root, upstream)

        return normalize(x)

    def gradient(self, x: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        """Returns the gradient with respect to x of a value whose gradient with respect to the result is `upstream`."""
        return self._gradient(x, self._inverse_root(x), upstream)

    def _gradient(self, x: tf.Tensor, root: tf.Tensor, upstream: tf.Tensor) -> tf.Tensor:
        scaled = upstream * self._power(root)
        neighbors = self._sum_over_neighbors(scaled * x * tf.square(root))
        return scaled - (2 * self.alpha * self.beta) * x * neighbors

    def _inverse_root(self, x: tf.Tensor) -> tf.Tensor:
        """Returns (bias + alpha Σ x²)^-0.5."""
        return tf.math.rsqrt(self.bias + self.alpha * self._sum_over_neighbors(tf.square(x)))

    def _power(self, root: tf.Tensor) -> tf.Tensor:
        """Returns (bias + alpha Σ x²)^-beta.   root: of _inverse_root."""
        return root if self.beta == 0.5 else root * tf.sqrt(root)

    def _sum_over_neighbors(self, x: tf.Tensor) -> tf.Tensor:
        channels = np.arange(x.shape[-1])
        band = np.abs(channels[:, None] - channels) <= self.radius  # (in, out)
        return tf.nn.conv2d(x, band[None, None].astype(np.float32), 1, "VALID")


@tf.RegisterGradient(GRADIENT)  # type: ignore[untyped-decorator]
def _gradient_of_operation(op: tf.Operation, upstream: tf.Tensor) -> tf.Tensor:
    """Returns the gradient of an LRN operation in an imported graph. Its beta is one of BETAS."""
    x = op.inputs[0]
    attributes = {name: op.get_attr(name) for name in ("depth_radius", "bias", "alpha", "beta")}
    if x.shape[-1] is None:
        return tf.raw_ops.LRNGrad(input_grads=upstream, input_image=x, output_image=op.outputs[0], **attributes)
    return LocalResponseNormalization(*attributes.values()).gradient(x, upstream)
