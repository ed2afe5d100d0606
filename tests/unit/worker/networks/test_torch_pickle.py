"""Tests that malformed weights files are corrupt models, not crashes."""

import pickle
import struct
from collections import OrderedDict

import numpy as np
import pytest

from shared.errors import ModelCorrupt
from worker.networks.weights import torch_pickle
from worker.networks.weights.torch_pickle import _MAGIC, _PROTOCOL, read_state_dict


def a_file(path, *, views, keys, data=b""):
    parts = [_MAGIC, _PROTOCOL, {}, views, keys]
    path.write_bytes(b"".join(pickle.dumps(part, protocol=2) for part in parts) + data)
    return path


@pytest.mark.parametrize(
    ("views", "keys"),
    [
        ([], []),
        (OrderedDict(a=[1]), []),
        (OrderedDict(a=1), ["a"]),
        ({}, [["a"]]),
        ({}, [1]),
        ({}, ["missing"]),
        ({}, 5),
        ({}, None),
        (None, []),
        ("text", "text"),
        ({"a": {"storage": 1}}, ["a"]),
    ],
)
def test_a_malformed_list_is_a_corrupt_model(tmp_path, views, keys):
    with pytest.raises(ModelCorrupt):
        read_state_dict(a_file(tmp_path / "w.pth", views=views, keys=keys, data=struct.pack("<q", 1) + bytes(4)))


@pytest.mark.parametrize("length", [2**62, 2**40, -1, -(2**63)])
def test_a_length_that_the_file_does_not_have_is_not_allocated(tmp_path, length, monkeypatch):
    view = torch_pickle._TensorView(torch_pickle._Storage("0", np.dtype("<f4")), 0, (1,), (1,))
    monkeypatch.setattr(torch_pickle, "_TensorsOnly", pickle.Unpickler)  # so that a test can pickle the view itself
    path = a_file(tmp_path / "w.pth", views={"a": view}, keys=["0"], data=struct.pack("<q", length) + bytes(4))

    with pytest.raises(ModelCorrupt, match="cut off"):
        read_state_dict(path)


@pytest.mark.parametrize("seed", range(300))
def test_no_damage_is_anything_but_a_corrupt_model(tmp_path, seed):
    rng = np.random.default_rng(seed)
    data = bytearray(a_file(tmp_path / "w.pth", views=OrderedDict(a=[1, "x", 2.5]), keys=["0", "1"]).read_bytes())
    for at in rng.integers(0, len(data), 5):
        data[at] = rng.integers(0, 256)
    path = tmp_path / "damaged.pth"
    path.write_bytes(data)

    with pytest.raises(ModelCorrupt):
        read_state_dict(path)
