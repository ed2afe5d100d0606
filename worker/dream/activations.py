"""Computes the activations of layers for a whole image: for a guide, and for feature maps."""

from collections.abc import Sequence

import cv2
import tensorflow as tf

from worker.dream.network import Network
from worker.dream.types import Image


def layer_activations(network: Network, image: Image, layers: Sequence[str]) -> list[tf.Tensor]:
    """Returns one activation (h', w', c) per layer.

    image: float32 (H, W, 3), 0..255; passed through the network in one piece, without tiles.
    """
    traced = tf.function(lambda images: network.activations(images, layers))  # a frozen graph needs a tf.function
    return [activation[0] for activation in traced(tf.constant(image[None]))]


def sized(image: Image, *, longest_px: int, minimum_px: int) -> Image:
    """Returns the image with its longer side at most `longest_px` and its shorter side at least `minimum_px`.

    Where both can't hold, the network's minimum takes precedence. Shrinks, or enlarges, no more than needed.
    """
    height, width, _ = image.shape
    scale = max(min(1.0, longest_px / max(height, width)), minimum_px / min(height, width))
    if scale == 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)  # type: ignore[return-value]
