"""Turns a Keras model's convolutional trunk into a network: any image size, every spatial layer a target."""

import re
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from shared.errors import ModelCorrupt
from shared.networks.model import Model
from worker.dream.network import Network
from worker.networks.preprocessing import PREPROCESSING
from worker.networks.weights.checksum import sha256_of

_PASSIVE = ("InputLayer", "ZeroPadding2D", "Dropout", "SpatialDropout2D")  # they compute nothing new


def network_of(trunk: Any, path: Path, model: Model) -> Network:  # noqa: ANN401 - Keras ships no types
    """Returns the network of a trunk whose weights were loaded from `path`. Raises ModelCorrupt."""
    layers = spatial_layers(trunk)
    missing = {layer.name for layer in model.layers} - set(layers)
    if missing:
        raise ModelCorrupt(f"{path.name} has no layer {min(missing)}: it is not {model.title}")

    def activations(images: tf.Tensor, wanted: Sequence[str]) -> list[tf.Tensor]:
        upto = keras.Model(trunk.inputs, [layers[name].output for name in wanted])
        found = upto(PREPROCESSING[model.preprocessing](images), training=False)
        return list(found) if isinstance(found, list | tuple) else [found]

    return Network(
        name=model.name,
        weights_sha256=sha256_of(path),
        minimum_px=model.minimum_px,
        gradient_bytes_per_px=model.gradient_bytes_per_px,
        strides={layer.name: layer.stride for layer in model.layers},
        halos=model.halos,
        activations=activations,
    )


def spatial_layers(trunk: Any) -> dict[str, Any]:  # noqa: ANN401
    """Returns the layers with an output of shape (n, h, w, c), by name.

    Keras numbers unnamed layers across all models of a process (conv2d_94). Here each model counts from the start
    (conv2d, conv2d_1 …), as in a new session, so that a layer always has the same name.
    """
    unnamed = defaultdict(list)
    names = {}
    for layer in trunk.layers:
        kind = re.sub(r"(?<!^)(?=[A-Z][a-z])|(?<=[a-z])(?=[A-Z])", "_", type(layer).__name__).lower()
        number = re.fullmatch(rf"{kind}(?:_(\d+))?", layer.name)
        if number:
            unnamed[kind].append((int(number[1] or 0), layer))
        names[layer.name] = layer.name
    for kind, numbered in unnamed.items():
        for index, (_, layer) in enumerate(sorted(numbered, key=lambda pair: pair[0])):
            names[layer.name] = f"{kind}_{index}" if index else kind
    seen = [layer for layer in trunk.layers if type(layer).__name__ not in _PASSIVE]
    return {names[layer.name]: layer for layer in seen if len(getattr(layer.output, "shape", ())) == 4}
