"""Computes the activations of layers for a whole image: for a guide, and for feature maps."""

from collections.abc import Sequence

import cv2
import tensorflow as tf

from shared.errors import ImageTooLarge
from shared.networks.network_size import whole_size
from worker.dream.network import Network
from worker.dream.types import Image


def layer_activations(network: Network, image: Image, layers: Sequence[str]) -> list[tf.Tensor]:
    """Returns one activation (h', w', c) per layer.

    image: float32 (H, W, 3), 0..255; passed through the network in one piece, without tiles.
    """
    traced = tf.function(lambda images: network.activations(images, layers))  # a frozen graph needs a tf.function
    return [activation[0] for activation in traced(tf.constant(image[None]))]


def sized(image: Image, *, longest_px: int, minimum_px: int) -> Image:
    """Returns the image at the size of `whole_size`. Raises ImageTooLarge for one that is too long and thin.

    The API refuses such an image; a job may have been accepted by an older one.
    """
    height, width, _ = image.shape
    tall, wide = whole_size(height, width, longest_px=longest_px, minimum_px=minimum_px)
    if tall * wide > longest_px**2:
        raise ImageTooLarge(f"An image of {width} x {height} pixels is too long and thin for this network; crop it.")
    if (tall, wide) == (height, width):
        return image
    smaller = tall * wide < height * width
    return cv2.resize(image, (wide, tall), interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)  # type: ignore[return-value]
