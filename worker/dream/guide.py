"""A guide image: the dream climbs towards what the layers see in another picture, not towards more of what it shows.

Source: the "controlling dreams" chapter of Google's notebook (Mordvintsev, Olah & Tyka 2015): every place of the
activation is pulled towards that one of the guide's feature vectors with which its dot product is the largest.
"""

from collections.abc import Callable, Sequence
from functools import lru_cache

import tensorflow as tf

from shared.params import Target
from worker.dream.activations import look, sized
from worker.dream.gradient import Gradient, chosen_channels
from worker.dream.network import Network
from worker.dream.types import Image

GUIDE_PX = 512  # the guide's longer side: 768 vectors at stride 16, more than the notebook's 196
SHORTEST_PX = 128  # and at least so much of its shorter side
MOST_VECTORS = 1024  # of a finer layer an even choice: each place is compared with every one


def guided_gradient_of(network: Network, targets: tuple[Target, ...], guide: Image) -> Gradient:
    """The gradient of the guided objective, as `gradient.gradient_of`. guide: float32 (H, W, 3), 0..255, any size."""
    gradient = compiled(network, targets)
    features = guide_features(network, targets, guide)
    return lambda windows: gradient(windows, *features)


def shrunk(guide: Image) -> Image:
    """As much of a guide as a dream needs: to be held for hours it should be small."""
    return sized(guide, longest_px=GUIDE_PX, minimum_px=SHORTEST_PX)


def guide_features(network: Network, targets: Sequence[Target], guide: Image) -> list[tf.Tensor]:
    """What each target's layer sees in the guide: (vectors, channels) for each."""
    small = sized(shrunk(guide), longest_px=GUIDE_PX, minimum_px=max(network.minimum_px, SHORTEST_PX))
    seen = look(network, small, [target.layer for target in targets])
    features = []
    for activation, target in zip(seen, targets, strict=True):
        vectors = chosen_channels(activation, target)
        vectors = tf.reshape(vectors, (-1, vectors.shape[-1]))  # (h' w', c)
        features.append(vectors[:: -(-len(vectors) // MOST_VECTORS)])
    return features


def guided_objective(
    activations: Sequence[tf.Tensor], targets: Sequence[Target], features: Sequence[tf.Tensor]
) -> tf.Tensor:
    """The weighted sum over targets of the mean over places of max over vectors of activation · vector.

    activations: one (n, h', w', c) per target; features: one (vectors, c) per target.
    """
    total = tf.constant(0.0)
    for activation, target, vectors in zip(activations, targets, features, strict=True):
        chosen = chosen_channels(activation, target)
        matches = tf.reduce_sum(chosen * best_matches(chosen, vectors), axis=-1)  # (n, h', w')
        total += target.weight * tf.reduce_sum(tf.reduce_mean(matches, axis=(1, 2)))
    return total


def best_matches(activation: tf.Tensor, vectors: tf.Tensor) -> tf.Tensor:
    """For each place of (n, h', w', c) the vector with the largest dot product. No gradient flows through the choice.

    Row by row: all places against all vectors at once would take more memory than the network.
    """
    rows = tf.reshape(tf.stop_gradient(activation), (-1, tf.shape(activation)[2], tf.shape(activation)[3]))
    best = tf.map_fn(lambda row: tf.gather(vectors, tf.argmax(tf.matmul(row, vectors, transpose_b=True), 1)), rows)
    return tf.stop_gradient(tf.reshape(best, tf.shape(activation)))


@lru_cache(maxsize=4)
def compiled(network: Network, targets: tuple[Target, ...]) -> Callable[..., tf.Tensor]:
    """One trace serves every guide: its features are arguments."""

    def gradient(windows: tf.Tensor, *features: tf.Tensor) -> tf.Tensor:
        activations = network.activations(windows, [target.layer for target in targets])
        return tf.gradients(guided_objective(activations, targets, features), windows)[0]

    return tf.function(gradient, reduce_retracing=True)  # type: ignore[no-any-return]
