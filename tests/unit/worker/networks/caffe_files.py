"""Writes small .caffemodel files, byte by byte and without the reader's own messages, in both generations."""

import numpy as np

from shared.networks import catalog
from shared.networks.model import Layer

THIN = 8  # every channel count of GoogLeNet is divided by this: 440 kB of weights in place of 28 MB


def thin_googlenet():
    """Returns the catalog's entry with an eighth of the channels, and no checksum or address."""
    model = catalog.MODELS["googlenet"]
    layers = tuple(
        Layer(name=layer.name, channels=layer.channels // THIN, stride=layer.stride) for layer in model.layers
    )
    return model.model_copy(update={"layers": layers, "checksum": None, "urls": ()})


def thin_weights(seed=0):
    """Returns {layer: (kernel (out, in, h, w), bias (out,))}, seeded, for every convolution of the thin network."""
    channels = {layer.name: layer.channels for layer in thin_googlenet().layers}
    random = np.random.default_rng(seed)
    below, weights = 3, {}

    def convolution(name, inputs, edge=1):
        shape = (channels[name], inputs, edge, edge)
        kernel = random.normal(0, np.sqrt(2 / (inputs * edge * edge)), shape).astype(np.float32)
        weights[name] = (kernel, random.normal(0, 0.1, shape[0]).astype(np.float32))
        return channels[name]

    for name, edge in (("conv1/7x7_s2", 7), ("conv2/3x3_reduce", 1), ("conv2/3x3", 3)):
        below = convolution(name, below, edge)
    for module in ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b"):
        prefix = f"inception_{module}"
        for branch in ("1x1", "3x3_reduce", "5x5_reduce", "pool_proj"):
            convolution(f"{prefix}/{branch}", below)
        convolution(f"{prefix}/3x3", channels[f"{prefix}/3x3_reduce"], 3)
        convolution(f"{prefix}/5x5", channels[f"{prefix}/5x5_reduce"], 5)
        below = channels[f"{prefix}/output"]
    return weights


def caffemodel(weights, *, generation):
    """Returns the file's bytes. Generation 1: `layers`, sizes in four fields; 2: `layer`, sizes in `shape`.

    With what a reader has to skip: a name, a training head, layers without weights, each layer's type and parameters.
    """
    heads = {"loss1/classifier": (np.ones((1, 1, 5, 7), np.float32), np.ones(5, np.float32))}
    field, name_field, blobs_field = {1: (2, 4, 6), 2: (100, 1, 7)}[generation]
    file = _bytes(1, b"GoogleNet")
    file += _bytes(field, _bytes(name_field, b"conv1/relu_7x7"))
    for name, storage in {**weights, **heads}.items():
        kind = _number(5, 4) if generation == 1 else _bytes(2, b"Convolution")
        packed = b"".join(_bytes(blobs_field, _blob(blob, generation)) for blob in storage)
        file += _bytes(field, _bytes(name_field, name.encode()) + kind + packed + _bytes(106, _number(1, 7)))
    return file


def _blob(array, generation):
    data = _bytes(5, array.astype("<f4").tobytes())
    if generation == 2:
        return _bytes(7, _bytes(1, b"".join(_varint(length) for length in array.shape))) + data
    shape = (1,) * (4 - array.ndim) + array.shape
    return b"".join(_number(1 + axis, length) for axis, length in enumerate(shape)) + data


def _varint(number):
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*out, number])


def _number(field, number):
    return _varint(field << 3) + _varint(number)


def _bytes(field, content):
    return _varint(field << 3 | 2) + _varint(len(content)) + content
