"""A stand-in for Inception5h where the download can't be reached: the same nodes and shapes, seeded weights."""

import json
from pathlib import Path

import numpy as np
import tensorflow as tf

TABLE = json.loads(Path(__file__).with_name("inception5h.json").read_text())


def write_graph(path: Path, *, seed: int = 0) -> Path:
    """Writes a frozen GraphDef of Inception5h's trunk, with a classifier behind it that a dream does not need."""
    random = np.random.default_rng(seed)
    graph = tf.Graph()
    with graph.as_default():
        nodes = {"input": tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="input")}
        for row in TABLE["nodes"]:
            nodes[row["node"]] = _node(row, nodes, random)
        tf.nn.softmax(tf.reduce_mean(nodes["mixed5b"], axis=(1, 2)), name="softmax2")
    path.write_bytes(graph.as_graph_def().SerializeToString())
    return path


def _node(row: dict, nodes: dict[str, tf.Tensor], random: np.random.Generator) -> tf.Tensor:
    name = row["node"]
    if row["op"] == "concat":
        return tf.concat([nodes[source] for source in row["inputs"]], axis=row["axis"], name=name)
    x = nodes[row["input"]]
    if row["op"] == "maxpool":
        return tf.nn.max_pool2d(x, row["kernel"], row["stride"], row["padding"], name=name)
    if row["op"] == "lrn":
        return tf.nn.local_response_normalization(
            x, row["depth_radius"], row["bias"], row["alpha"], row["beta"], name=name
        )
    kernel, bias = (
        tf.constant(weights, name=weight) for weights, weight in zip(_weights(row, random), row["weights"], strict=True)
    )
    convolved = tf.nn.conv2d(x, kernel, row["stride"], row["padding"], name=row["conv"])
    return tf.nn.relu(tf.nn.bias_add(convolved, bias, name=row["pre_relu"]), name=name)


def _weights(row: dict, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Returns seeded weights as by He et al. 2015, which keep the size of activations from layer to layer."""
    shape = (row["kernel"], row["kernel"], row["in"], row["out"])
    fan_in = np.prod(shape[:3])
    return (
        random.normal(0, np.sqrt(2 / fan_in), shape).astype(np.float32),
        random.normal(0, 0.1, row["out"]).astype(np.float32),
    )
