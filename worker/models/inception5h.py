"""Inception5h, the network that the field's pictures were made with, from its frozen TensorFlow graph.

Szegedy et al. 2014 (GoogLeNet), as Google published it in 2015. It is fed raw 0..255 pixels, like the reference post's.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from shared import catalog
from shared.errors import ModelCorrupt
from worker.dream.network import Network
from worker.models.checksum import sha256_of

NAME = "inception5h"
SHA256 = "a39b08b826c9d5a5532ff424c03a3a11a202967544e389aca4b06c2bd8aef63f"
FILE = "tensorflow_inception_graph.pb"
_INPUT = "input"
_GRADIENT_BYTES_PER_PX = 700  # measured: what the forward pass keeps for the backward one, mostly below stride 8


def load(path: Path) -> Network:
    """The network of that graph file, whose checksum is the caller's to check.

    Raises ModelUnavailable when it can't be read, ModelCorrupt when it lacks a layer of the catalog.
    """
    model = catalog.MODELS[NAME]
    sha256 = sha256_of(path)
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except DecodeError as exc:
        raise ModelCorrupt(f"{path.name} is not a TensorFlow graph") from exc
    missing = {layer.name for layer in model.layers} - {node.name for node in graph.node}
    if missing:
        raise ModelCorrupt(f"{path.name} has no node {min(missing)}: it is not Inception5h's graph")
    return Network(
        name=NAME,
        weights_sha256=sha256,
        minimum_px=model.minimum_px,
        gradient_bytes_per_px=_GRADIENT_BYTES_PER_PX,
        strides={layer.name: layer.stride for layer in model.layers},
        activations=partial(_activations, _trunk(graph, [layer.name for layer in model.layers])),  # no classifiers
    )


def _activations(graph: tf.compat.v1.GraphDef, images: tf.Tensor, layers: Sequence[str]) -> list[tf.Tensor]:
    trunk = _trunk(graph, layers)
    outputs = [f"{layer}:0" for layer in layers]
    found: list[tf.Tensor] = tf.graph_util.import_graph_def(
        trunk, input_map={f"{_INPUT}:0": images}, return_elements=outputs, name=""
    )
    return found


def _trunk(graph: tf.compat.v1.GraphDef, layers: Sequence[str]) -> tf.compat.v1.GraphDef:
    """The nodes that those layers are computed from, and no others."""
    nodes = {node.name: node for node in graph.node}
    needed: set[str] = set()
    ahead = list(layers)
    while ahead:
        name = ahead.pop()
        if name not in needed:
            needed.add(name)
            ahead += [source.lstrip("^").split(":")[0] for source in nodes[name].input]
    trunk = tf.compat.v1.GraphDef()
    trunk.node.extend(node for node in graph.node if node.name in needed)
    trunk.versions.CopyFrom(graph.versions)
    return trunk
