"""Builds the objective for a guide image: it amplifies features that the layers detect in the guide, not in the image.

Source: the "controlling dreams" chapter of Google's notebook (Mordvintsev, Olah & Tyka 2015): gradient ascent moves
each position of the activation toward the guide's feature vector with which its dot product is largest.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import tensorflow as tf

from shared.networks.network_size import GUIDE_PX, GUIDE_SHORTEST_PX
from shared.params import Target
from worker.dream.activations import layer_activations, sized
from worker.dream.ascent.gradient import Gradient, activations_of, chosen_channels
from worker.dream.network import Network
from worker.dream.types import Image

MOST_VECTORS = 1024  # a finer layer's vectors are subsampled evenly: each position is compared with every vector


def guided_gradient_of(network: Network, targets: tuple[Target, ...], guide: Image) -> Gradient:
    """Returns the gradient of the guided objective, like `gradient.gradient_of`.

    guide: float32 (H, W, 3), 0..255, any size.
    """
    gradient = compiled(network, targets)
    features = guide_features(network, targets, guide)
    return lambda windows: gradient(windows, *features)


def shrunk(guide: Image) -> Image:
    """Returns the guide at the size that the engine needs: small, because it may stay in memory for hours."""
    return sized(guide, longest_px=GUIDE_PX, minimum_px=GUIDE_SHORTEST_PX)


def guide_features(network: Network, targets: Sequence[Target], guide: Image) -> list[tf.Tensor]:
    """Returns the feature vectors of each target's layer for the guide: one (vectors, channels) per target."""
    small = sized(shrunk(guide), longest_px=GUIDE_PX, minimum_px=max(network.minimum_px, GUIDE_SHORTEST_PX))
    activations = layer_activations(network, small, [target.layer for target in targets])
    features = []
    for activation, target in zip(activations, targets, strict=True):
        vectors = chosen_channels(activation, target)
        vectors = tf.reshape(vectors, (-1, vectors.shape[-1]))  # (h' w', c)
        features.append(vectors[:: -(-len(vectors) // MOST_VECTORS)])
    return features


def guided_objective(
    activations: Sequence[tf.Tensor], targets: Sequence[Target], features: Sequence[tf.Tensor]
) -> tf.Tensor:
    """Returns the weighted sum over targets of the mean over positions of max over vectors of activation · vector.

    activations: one (n, h', w', c) per target; features: one (vectors, c) per target.
    """
    total = tf.constant(0.0)
    for activation, target, vectors in zip(activations, targets, features, strict=True):
        chosen = chosen_channels(activation, target)
        matches = tf.reduce_sum(chosen * best_matches(chosen, vectors), axis=-1)  # (n, h', w')
        total += target.weight * tf.reduce_sum(tf.reduce_mean(matches, axis=(1, 2)))
    return total


def best_matches(activation: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """Returns the vector with the largest dot product for each position, (n, h', w', c).

    No gradient flows through the choice. The work is done row by row, because comparing all positions with all vectors
    at once would take more memory than the network.
    """
    rows = tf.reshape(tf.stop_gradient(activation), (-1, tf.shape(activation)[2], tf.shape(activation)[3]))
    best = tf.map_fn(lambda row: tf.gather(vectors, tf.argmax(tf.matmul(row, vectors, transpose_b=True), 1)), rows)
    return tf.stop_gradient(tf.reshape(best, tf.shape(activation)))


@lru_cache(maxsize=4)
def compiled(network: Network, targets: tuple[Target, ...]) -> Callable[..., tf.Tensor]:
    """Compiles the guided gradient. One trace serves every guide, because the guide's features are arguments."""

    def gradient(windows: tf.Tensor, *features: tf.Tensor) -> tf.Tensor:
        activations = activations_of(network, windows, targets)
        return tf.gradients(guided_objective(activations, targets, features), windows)[0]

    return tf.function(gradient, reduce_retracing=True)  # type: ignore[no-any-return]
