"""Reads a PyTorch state dict in the old, non-zip pickle format, without PyTorch.

The unpickler accepts nothing but ordered dictionaries of dense CPU tensors, so that a weights file can't run code.
"""

import os
import pickle
import struct
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from shared.errors import ModelCorrupt

_MAGIC = 0x1950A86A20F9469CFC6C
_PROTOCOL = 1001
# What malformed pickles lead to, besides ModelCorrupt.
DAMAGE = (
    *(pickle.UnpicklingError, EOFError, struct.error, ArithmeticError, AttributeError, ImportError, LookupError),
    *(MemoryError, RecursionError, TypeError, ValueError),
)
_DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


@dataclass(frozen=True, slots=True)
class _Storage:
    """A tensor's raw data, declared in the pickle and stored after it."""

    key: str
    dtype: np.dtype[Any]


@dataclass(frozen=True, slots=True)
class _TensorView:
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]  # in elements, as PyTorch counts them


def _tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], strides: tuple[int, ...], *_: object
) -> _TensorView:
    return _TensorView(storage, offset, shape, strides)


class _TensorsOnly(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401  (the base class says Any)
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _tensor
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise ModelCorrupt(f"The weights file refers to {module}.{name}; only tensors are accepted")

    def persistent_load(self, pid: Any) -> _Storage:  # noqa: ANN401
        kind, dtype, key, *_ = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise ModelCorrupt("The weights file holds something that is not a tensor")
        return _Storage(str(key), dtype)


def read_state_dict(path: Path) -> dict[str, npt.NDArray[Any]]:
    """Returns the tensors of a state dict by name, with PyTorch's order of axes.

    Raises ModelCorrupt when the file is truncated, has another format or holds anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except DAMAGE as exc:
        raise ModelCorrupt(f"{path.name} is not a complete PyTorch state dict: {exc}") from exc


def _read(file: IO[bytes]) -> dict[str, npt.NDArray[Any]]:
    # Five pickles in a row (magic, protocol, platform, the tensors, the storages' order), then the storages' data.
    magic, protocol, _platform, views, keys = (_TensorsOnly(file).load() for _ in range(5))
    if magic != _MAGIC or protocol != _PROTOCOL:
        raise ModelCorrupt("The weights file is not a PyTorch state dict in the old format")
    if not isinstance(views, dict) or not all(isinstance(view, _TensorView) for view in views.values()):
        raise ModelCorrupt("The weights file holds something that is not a tensor")
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ModelCorrupt("The weights file's list of data is malformed")
    dtypes = {view.storage.key: view.storage.dtype for view in views.values()}
    numbers = {}
    for key in keys:
        (length,) = struct.unpack("<q", file.read(8))
        size = length * dtypes[key].itemsize
        if not 0 <= size <= _bytes_left(file):
            raise ModelCorrupt("The weights file is cut off")
        numbers[key] = np.frombuffer(file.read(size), dtypes[key], count=length)
    return {name: _view(numbers[view.storage.key], view) for name, view in views.items()}


def _bytes_left(file: IO[bytes]) -> int:
    return os.fstat(file.fileno()).st_size - file.tell()


def _view(numbers: npt.NDArray[Any], view: _TensorView) -> npt.NDArray[Any]:
    last = view.offset + sum((extent - 1) * step for extent, step in zip(view.shape, view.strides, strict=True))
    if view.offset < 0 or min(view.strides, default=0) < 0 or last >= numbers.size:  # as_strided itself checks nothing
        raise ModelCorrupt("A tensor of the weights file reaches beyond its data")
    strides = tuple(step * numbers.itemsize for step in view.strides)
    strided = np.lib.stride_tricks.as_strided(numbers[view.offset :], view.shape, strides, writeable=False)
    return np.ascontiguousarray(strided)
