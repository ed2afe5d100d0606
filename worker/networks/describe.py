"""Writes the catalog entry of a model file: finds its layers with their channels and strides."""

import json
from pathlib import Path

import keras
import tensorflow as tf

from shared.errors import ModelCorrupt
from shared.networks.model import Layer
from worker.networks import frozen_graph, keras_file
from worker.networks.graph_operations import allowed_part
from worker.networks.keras_network import spatial_layers
from worker.networks.weights.checksum import sha256_of

_SMALL, _LARGE = 256, 1280  # image sizes; how much a layer's grid grows between them gives its stride
_ENTRY = """\
[[model]]
name = {name}
title = {name}
license = "unknown"
source = "my own"
loader = {loader}
file = {file}
sha256 = "{sha256}"
preprocessing = "raw" # or unit (0..1), tf (-1..1), torch, caffe: what the network was trained on
{extra}default_layer = {default}
layers = \"\"\"
{layers}
\"\"\"
"""

# Operations that prepare or move values and detect nothing, so that no one dreams of their output.
_PLUMBING = frozenset(
    {"Cast", "Identity", "MirrorPad", "Pad", "PadV2", "Reverse", "ReverseV2", "Split", "Sub", "Transpose"}
)
_PREPARING = frozenset({"Rescaling", "Normalization"})  # Keras's layers of the same kind

Shapes = dict[str, tuple[int | None, ...]]  # layer -> (n, h, w, c)


def catalog_entry(path: Path, *, input_node: str | None = None) -> str:
    """Returns the [[model]] table of a frozen graph (.pb) or a Keras model (.keras, .h5). Raises ModelCorrupt.

    input_node: the graph's image input; by default its first placeholder.
    """
    is_graph = path.suffix == ".pb"
    if is_graph:
        graph = allowed_part(frozen_graph.read_graph(path))
        input_node = input_node or next((node.name for node in graph.node if node.op == "Placeholder"), "input")
        layers = _layers_from(_graph_shapes(graph, input_node, _SMALL), _graph_shapes(graph, input_node, _LARGE))
    else:
        trunk = keras_file.read_trunk(path)
        layers = _layers_from(_keras_shapes(trunk, _SMALL), _keras_shapes(trunk, _LARGE))
    if not layers:
        raise ModelCorrupt(f"{path.name} can't dream: no layer's size follows the size of the image")
    return _ENTRY.format(
        name=json.dumps(path.stem.lower().replace(" ", "-")),
        loader='"frozen_graph"' if is_graph else '"keras_file"',
        file=json.dumps(path.name),
        sha256=sha256_of(path),
        extra=f"input_node = {json.dumps(input_node)}\n" if is_graph else "",
        default=json.dumps(layers[2 * len(layers) // 3].name),
        layers="\n".join(map(str, layers)),
    )


def _layers_from(small: Shapes, large: Shapes) -> list[Layer]:
    layers = []
    for name, (_, height, _, channels) in small.items():
        grown = (large[name][1] or 0) - (height or 0)
        if grown > 0 and channels and (_LARGE - _SMALL) % grown == 0:
            layers.append(Layer(name=name, channels=channels, stride=(_LARGE - _SMALL) // grown))
    return layers


def _graph_shapes(definition: tf.compat.v1.GraphDef, input_node: str, size: int) -> Shapes:
    with tf.Graph().as_default() as graph:
        picture = tf.compat.v1.placeholder(tf.float32, [1, size, size, 3], name="picture")
        try:
            tf.graph_util.import_graph_def(definition, input_map={f"{input_node}:0": picture}, name="")
        except (ValueError, KeyError) as exc:
            raise ModelCorrupt(f"The graph does not accept an image at '{input_node}': {exc}") from exc
        outputs = [op.outputs[0] for op in graph.get_operations() if op.outputs and op.name != "picture"]
        seen = [output for output in outputs if output.op.type not in _PLUMBING]
        floats = [output for output in seen if output.dtype == tf.float32 and output.shape.rank == 4]
        return {output.op.name: tuple(output.shape) for output in floats}


def _keras_shapes(trunk: keras.Model, size: int) -> Shapes:
    layers = {name: layer for name, layer in spatial_layers(trunk).items() if type(layer).__name__ not in _PREPARING}
    every = keras.Model(trunk.inputs, [layer.output for layer in layers.values()])
    found = every.compute_output_spec(keras.KerasTensor((1, size, size, 3)))
    outputs = found if isinstance(found, list | tuple) else [found]
    return {name: tuple(output.shape) for name, output in zip(layers, outputs, strict=True)}
