"""Converts RGB pixels, 0..255, to what each network expects, as part of its graph.

The names are those of `keras.applications.imagenet_utils.preprocess_input`.
"""

from collections.abc import Callable
from typing import Any

import tensorflow as tf

_CAFFE_MEAN_BGR = (103.939, 116.779, 123.68)
_TORCH_MEAN, _TORCH_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

PREPROCESSING: dict[str, Callable[[Any], Any]] = {  # float32 (n, h, w, 3) -> the same shape
    "raw": lambda images: images,
    "unit": lambda images: images / 255.0,
    "tf": lambda images: images / 127.5 - 1.0,
    "torch": lambda images: (images / 255.0 - tf.constant(_TORCH_MEAN)) / tf.constant(_TORCH_STD),
    "caffe": lambda images: tf.reverse(images, [-1]) - tf.constant(_CAFFE_MEAN_BGR),
}
