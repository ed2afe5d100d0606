"""What layers see in a picture, once: for a guide, and for feature maps."""

from collections.abc import Sequence

import cv2
import tensorflow as tf

from worker.dream.network import Network
from worker.dream.types import Image


def look(network: Network, image: Image, layers: Sequence[str]) -> list[tf.Tensor]:
    """One (h', w', c) per layer. image: float32 (H, W, 3), 0..255; it goes through the network whole."""
    traced = tf.function(lambda images: network.activations(images, layers))  # a frozen graph can't be imported outside
    return [activation[0] for activation in traced(tf.constant(image[None]))]


def sized(image: Image, *, longest_px: int, minimum_px: int) -> Image:
    """The image, shrunk until its longer side is that short, but never below what a network accepts."""
    height, width, _ = image.shape
    scale = max(min(1.0, longest_px / max(height, width)), minimum_px / min(height, width))
    if scale == 1:
        return image
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)  # type: ignore[return-value]
