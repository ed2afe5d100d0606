"""Compiles the objective's gradient with respect to the image, as one function per (network, targets)."""

from collections.abc import Callable, Sequence
from functools import lru_cache

import tensorflow as tf

from shared.params import Target
from worker.dream.ascent import device, subpixel
from worker.dream.network import Network

Gradient = Callable[[tf.Tensor], tf.Tensor]  # float32 (n, h, w, 3), 0..255 -> the same shape, unnormalized

_traces = 0  # how often a gradient was traced; read by the benchmark


def activations_of(network: Network, windows: tf.Tensor, targets: Sequence[Target]) -> list[tf.Tensor]:
    """Returns one activation (n, h', w', c) per target, from which `tf.gradients` is fast.   windows: (n, h, w, 3)."""
    with subpixel.gradients():
        return network.activations(windows, [target.layer for target in targets])


def objective(activations: Sequence[tf.Tensor], targets: Sequence[Target]) -> tf.Tensor:
    """Returns the weighted sum over targets of mean(activation²), summed over the images of the batch.

    activations: one (n, h', w', c) per target. The mean is taken per image, so that batching does not affect gradients.
    Source: Mordvintsev et al. 2015; a negative weight suppresses a feature.
    """
    total = tf.constant(0.0)
    for activation, target in zip(activations, targets, strict=True):
        chosen = chosen_channels(activation, target)
        total += target.weight * tf.reduce_sum(tf.reduce_mean(tf.square(chosen), axis=(1, 2, 3)))
    return total


def chosen_channels(activation: tf.Tensor, target: Target) -> tf.Tensor:
    """Returns the target's channels of its layer's activation, (..., c)."""
    return activation if target.channels is None else tf.gather(activation, target.channels, axis=-1)


@lru_cache(maxsize=4)  # a trace holds its own copy of the trunk's weights, about 15 MB
def gradient_of(network: Network, targets: tuple[Target, ...]) -> Gradient:
    """Returns the compiled gradient of the objective. Cached from job to job: one trace serves every window shape."""

    def gradient(windows: tf.Tensor) -> tf.Tensor:
        global _traces  # noqa: PLW0603 - counts traces: this body runs once per trace
        _traces += 1
        value = objective(activations_of(network, windows, targets), targets)
        return tf.gradients(value, windows)[0]  # not GradientTape, which can't see the nodes of an imported graph

    signature = [tf.TensorSpec([None, None, None, 3], tf.float32)]
    compiled: Gradient = tf.function(gradient, input_signature=signature).get_concrete_function()
    compiled(
        tf.zeros([1, network.minimum_px, network.minimum_px, 3])
    )  # the first run builds the kernels that the trace planned
    device.release_freed_memory()
    return compiled


def traces() -> int:
    """Returns how often a gradient function was traced in this process."""
    return _traces
