"""Reads the weights in a .caffemodel file without Caffe: a protobuf `NetParameter`, of either generation.

The messages are declared here with only the fields that lead to weights; protobuf skips the others. Caffe wrote
`layers` at first and `layer` later, and a blob's size in four fields before it had `shape`. Source: caffe.proto.
"""

from collections.abc import Collection
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

from shared.errors import ModelCorrupt, ModelUnavailable

Weights = npt.NDArray[np.float32]
_Field = descriptor_pb2.FieldDescriptorProto

_PACKAGE = "dreamqueue.caffe"
_MESSAGES: dict[str, dict[str, tuple[int, int | str, bool]]] = {  # field -> (number, type or message, repeated)
    "BlobShape": {"dim": (1, _Field.TYPE_INT64, True)},
    "BlobProto": {
        "num": (1, _Field.TYPE_INT32, False),
        "channels": (2, _Field.TYPE_INT32, False),
        "height": (3, _Field.TYPE_INT32, False),
        "width": (4, _Field.TYPE_INT32, False),
        "data": (5, _Field.TYPE_FLOAT, True),
        "shape": (7, "BlobShape", False),
    },
    "V1LayerParameter": {"name": (4, _Field.TYPE_STRING, False), "storage": (6, "BlobProto", True)},
    "LayerParameter": {"name": (1, _Field.TYPE_STRING, False), "storage": (7, "BlobProto", True)},
    "NetParameter": {"layers": (2, "V1LayerParameter", True), "layer": (100, "LayerParameter", True)},
}


def read_weights(path: Path, layers: Collection[str]) -> dict[str, list[Weights]]:
    """Returns the storage of those of the layers that the file has, by layer: a kernel (out, in, height, width).

    Then a bias.

    Axes are Caffe's; older files pad them with ones at the front. Raises ModelUnavailable or ModelCorrupt.
    """
    try:
        net = _net_parameter().FromString(path.read_bytes())
    except OSError as exc:
        raise ModelUnavailable(f"The weights file {path.name} can't be read: {exc.strerror}.") from exc
    except DecodeError as exc:
        raise ModelCorrupt(f"{path.name} is not a whole .caffemodel file: it is cut off, or of another kind.") from exc
    found = [*net.layers, *net.layer]
    return {layer.name: [_array(blob, layer.name) for blob in layer.storage] for layer in found if layer.name in layers}


def _array(blob: Any, layer: str) -> Weights:  # noqa: ANN401 - a message that is declared at run time
    shape = tuple(blob.shape.dim) or (blob.num, blob.channels, blob.height, blob.width)
    numbers = np.array(blob.data, np.float32)
    if min(shape) < 0 or numbers.size != int(np.prod(shape)):
        raise ModelCorrupt(f"The layer '{layer}' of the weights file has {numbers.size} numbers for the shape {shape}.")
    return numbers.reshape(shape)


@lru_cache(maxsize=1)
def _net_parameter() -> Any:  # noqa: ANN401 - a class that is made at run time
    file = descriptor_pb2.FileDescriptorProto(name="dreamqueue/caffe.proto", package=_PACKAGE, syntax="proto2")
    for message, fields in _MESSAGES.items():
        declared = file.message_type.add(name=message)
        for name, (number, kind, repeated) in fields.items():
            label = _Field.LABEL_REPEATED if repeated else _Field.LABEL_OPTIONAL
            field = declared.field.add(name=name, number=number, label=label)
            if isinstance(kind, str):
                field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{kind}"
            else:
                field.type = kind
    pool = descriptor_pool.DescriptorPool()  # our own: the default one may know Caffe's messages already
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.NetParameter"))
