"""BVLC GoogLeNet from its .caffemodel, in TensorFlow: the network that google/deepdream dreamed with in 2015.

Szegedy et al. 2014. Every blob of the trunk is a target, under Caffe's name; as Caffe's ReLUs work in place, the blob
of a convolution is what its ReLU leaves. Borders are Caffe's too, where a stride of 2 begins at the same place whatever
an image's size. The training heads (loss1, loss2) and the classifier are not read.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import tensorflow as tf

from shared.errors import ModelCorrupt
from shared.networks.model import Model
from worker.dream.network import Network
from worker.networks.normalization import LocalResponseNormalization
from worker.networks.weights.caffemodel import Weights, read_weights
from worker.networks.weights.checksum import sha256_of

INPUT = "data"
MEAN_RGB = (123.0, 117.0, 104.0)  # of ImageNet, as the network was trained
MODULES = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")
_POOLED_BEFORE = {"3a": "pool2/3x3_s2", "4a": "pool3/3x3_s2", "5a": "pool4/3x3_s2"}
# TensorFlow's alpha counts for each of the 5 channels, Caffe's 1e-4 for their mean.
_NORMALIZED = LocalResponseNormalization(radius=2, bias=1.0, alpha=1e-4 / 5, beta=0.75)
_KERNEL_PX = {"7x7_s2": 7, "3x3": 3, "5x5": 5}  # by the last part of a layer's name; the others are 1 x 1


@dataclass(frozen=True, slots=True)
class Convolution:
    """A convolution and its ReLU."""

    kernel: Weights  # (h, w, in, out)
    bias: Weights  # (out,)
    stride: int

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        padding = "SAME"
        if self.stride > 1:  # "SAME" would begin elsewhere; padding that is handed to the operation makes it slow
            around = self.kernel.shape[0] // 2
            x, padding = tf.pad(x, [[0, 0], [around, around], [around, around], [0, 0]]), "VALID"
        return tf.nn.relu(tf.nn.bias_add(tf.nn.conv2d(x, self.kernel, self.stride, padding), self.bias))


@dataclass(frozen=True, slots=True)
class Blob:
    """What one operation makes of other storage."""

    operation: Callable[..., tf.Tensor]
    inputs: tuple[str, ...]


def load(path: Path, model: Model) -> Network:
    """Returns the network with the weights of that file.

    Raises ModelUnavailable, ModelCorrupt when it holds something else.
    """
    sha256 = sha256_of(path)
    trunk = _trunk()
    weights = read_weights(path, [name for name, (operation, _) in trunk.items() if operation is None])
    channels = {INPUT: 3, **{layer.name: layer.channels for layer in model.layers}}
    storage = {}
    for name, (operation, inputs) in trunk.items():
        if operation is None:
            if name not in weights:
                raise ModelCorrupt(f"{path.name} has no layer '{name}': it is cut off, or not {model.title}.")
            operation = _convolution(name, weights[name], channels[inputs[0]], channels[name])  # noqa: PLW2901
        storage[name] = Blob(operation, inputs)
    return Network(
        name=model.name,
        weights_sha256=sha256,
        minimum_px=model.minimum_px,
        gradient_bytes_per_px=model.gradient_bytes_per_px,
        strides={layer.name: layer.stride for layer in model.layers},
        halos=model.halos,
        activations=partial(_activations, storage),
    )


def _activations(storage: Mapping[str, Blob], images: tf.Tensor, wanted: Sequence[str]) -> list[tf.Tensor]:
    needed, ahead = set(), list(wanted)
    while ahead:
        name = ahead.pop()
        if name not in needed and name != INPUT:
            needed.add(name)
            ahead += storage[name].inputs
    found = {INPUT: images - tf.constant(MEAN_RGB)}  # (n, h, w, 3)
    for name, blob in storage.items():
        if name in needed:
            found[name] = blob.operation(*(found[source] for source in blob.inputs))
    return [found[name] for name in wanted]


def _trunk() -> dict[str, tuple[Callable[..., tf.Tensor] | None, tuple[str, ...]]]:
    """Returns blob -> operation and inputs, in the order of computation; None stands for a convolution."""
    trunk: dict[str, tuple[Callable[..., tf.Tensor] | None, tuple[str, ...]]] = {
        "conv1/7x7_s2": (None, (INPUT,)),
        "pool1/3x3_s2": (_halved, ("conv1/7x7_s2",)),
        "pool1/norm1": (_NORMALIZED, ("pool1/3x3_s2",)),
        "conv2/3x3_reduce": (None, ("pool1/norm1",)),
        "conv2/3x3": (None, ("conv2/3x3_reduce",)),
        "conv2/norm2": (_NORMALIZED, ("conv2/3x3",)),
    }
    below = "conv2/norm2"
    for module in MODULES:
        if pooled := _POOLED_BEFORE.get(module):
            trunk[pooled] = (_halved, (below,))
            below = pooled
        name = f"inception_{module}"
        trunk[f"{name}/1x1"] = (None, (below,))
        for size in ("3x3", "5x5"):
            trunk[f"{name}/{size}_reduce"] = (None, (below,))
            trunk[f"{name}/{size}"] = (None, (f"{name}/{size}_reduce",))
        trunk[f"{name}/pool"] = (_pooled, (below,))
        trunk[f"{name}/pool_proj"] = (None, (f"{name}/pool",))
        branches = tuple(f"{name}/{branch}" for branch in ("1x1", "3x3", "5x5", "pool_proj"))
        below = f"{name}/output"
        trunk[below] = (_joined, branches)
    return trunk


def _convolution(name: str, storage: Sequence[Weights], inputs: int, outputs: int) -> Convolution:
    """Raises ModelCorrupt when the layer's weights have another shape than the network's."""
    edge = _KERNEL_PX.get(name.rsplit("/", 1)[-1], 1)
    shapes = [blob.shape for blob in storage]
    if len(storage) != 2 or shapes[0] != (outputs, inputs, edge, edge) or storage[1].size != outputs:
        raise ModelCorrupt(f"The layer '{name}' has weights of the shapes {shapes}: it is another network's.")
    kernel = storage[0].transpose(2, 3, 1, 0)  # (h, w, in, out)
    if name == "conv1/7x7_s2":
        kernel = kernel[:, :, ::-1]  # it was trained on BGR, and is given RGB
    return Convolution(np.ascontiguousarray(kernel), storage[1].ravel(), 2 if name.endswith("_s2") else 1)


def _halved(x: tf.Tensor) -> tf.Tensor:
    """Takes 3 x 3 maxima at every second place. Caffe rounds the size up: its last window may reach over the edge.

    x is nowhere negative, so zeros there change no maximum.
    """
    return tf.nn.max_pool2d(tf.pad(x, [[0, 0], [0, 1], [0, 1], [0, 0]]), 3, 2, "VALID")


def _pooled(x: tf.Tensor) -> tf.Tensor:
    return tf.nn.max_pool2d(x, 3, 1, "SAME")


def _joined(*branches: tf.Tensor) -> tf.Tensor:
    return tf.concat(branches, axis=-1)
