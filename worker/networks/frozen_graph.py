"""Loads a network from a frozen TensorFlow graph: Inception5h, or the user's own.

Inception5h is GoogLeNet (Szegedy et al. 2014) as Google published it in 2015, the network of the
original DeepDream post. Like there, it receives raw 0..255 pixels.
"""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

import tensorflow as tf
from google.protobuf.message import DecodeError

from shared.errors import ModelCorrupt, ModelUnavailable
from shared.networks.model import Model
from worker.dream.ascent import subpixel
from worker.dream.network import Network
from worker.networks import normalization
from worker.networks.graph_operations import check_operations, source_name
from worker.networks.preprocessing import PREPROCESSING
from worker.networks.weights.checksum import sha256_of


def load(path: Path, model: Model) -> Network:
    """Loads the network of that graph file; the caller checks its checksum.

    Raises ModelUnavailable when it can't be read, ModelCorrupt when it lacks a layer of the catalog or could do more
    than compute images.
    """
    sha256 = sha256_of(path)
    graph = read_graph(path)
    names = [layer.name for layer in model.layers]
    missing = {model.input_node, *names} - {node.name for node in graph.node}
    if missing:
        raise ModelCorrupt(f"{path.name} has no node {min(missing)}: it is not the graph of {model.title}")
    trunk = _trunk(graph, names)  # drops the classifiers
    check_operations(trunk, path.name)
    _choose_gradients(trunk)
    return Network(
        name=model.name,
        weights_sha256=sha256,
        minimum_px=model.minimum_px,
        gradient_bytes_per_px=model.gradient_bytes_per_px,
        strides={layer.name: layer.stride for layer in model.layers},
        halos=model.halos,
        activations=partial(_activations, trunk, model),
    )


def read_graph(path: Path) -> tf.compat.v1.GraphDef:
    """Parses the graph file. Raises ModelUnavailable or ModelCorrupt."""
    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except OSError as exc:
        raise ModelUnavailable(f"{path.name} can't be read: {exc.strerror}") from exc
    except DecodeError as exc:
        raise ModelCorrupt(f"{path.name} is not a TensorFlow graph") from exc
    return graph


def _choose_gradients(graph: tf.compat.v1.GraphDef) -> None:
    """Gives the graph's operations the gradients that are faster than TensorFlow's."""
    for node in graph.node:
        if node.op == subpixel.OPERATION:
            node.attr["_gradient_op_type"].s = subpixel.GRADIENT.encode()
        elif node.op == normalization.OPERATION and node.attr["beta"].f in normalization.BETAS:
            node.attr["_gradient_op_type"].s = normalization.GRADIENT.encode()


def _activations(
    graph: tf.compat.v1.GraphDef, model: Model, images: tf.Tensor, layers: Sequence[str]
) -> list[tf.Tensor]:
    pixels = PREPROCESSING[model.preprocessing](images)
    found: list[tf.Tensor] = tf.graph_util.import_graph_def(
        _trunk(graph, [*layers, model.input_node]),
        input_map={f"{model.input_node}:0": pixels},
        return_elements=[f"{layer}:0" for layer in layers],
        name="",
    )
    return found


def _trunk(graph: tf.compat.v1.GraphDef, layers: Sequence[str]) -> tf.compat.v1.GraphDef:
    """Returns the part of the graph that those layers are computed from."""
    nodes = {node.name: node for node in graph.node}
    needed: set[str] = set()
    pending = list(layers)
    while pending:
        name = pending.pop()
        if name not in needed:
            if name not in nodes:
                raise ModelCorrupt(f"The graph refers to the node '{name[:100]}', which it does not have")
            needed.add(name)
            pending += map(source_name, nodes[name].input)
    trunk = tf.compat.v1.GraphDef()
    trunk.node.extend(node for node in graph.node if node.name in needed)
    trunk.versions.CopyFrom(graph.versions)
    return trunk
