"""Tests that a graph file computes images and nothing else."""

import numpy as np
import pytest
import tensorflow as tf

from shared.errors import ModelCorrupt
from shared.networks.model import Layer, Model
from shared.params import Target
from tests.benchmarks.engine import stand_in
from worker.dream.ascent.gradient import gradient_of
from worker.networks import describe, frozen_graph
from worker.networks.graph_operations import ALLOWED, allowed_part


def a_model(layer: str, input_node: str = "input") -> Model:
    return Model(
        name="mine", title="Mine", license="unknown", source="my own", loader="frozen_graph", file="mine.pb",
        default_layer=layer, layers=(Layer(name=layer, channels=3, stride=1),), input_node=input_node,
    )  # fmt: skip


@pytest.fixture
def write(tmp_path):
    """Writes a graph file whose function gets the image's placeholder."""

    def write_graph(build):
        with tf.Graph().as_default() as graph:
            build(tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="input"))
        path = tmp_path / "mine.pb"
        path.write_bytes(graph.as_graph_def().SerializeToString())
        return path

    return write_graph


def activations(path, layer="layer"):
    network = frozen_graph.load(path, a_model(layer))
    return tf.function(lambda images: network.activations(images, [layer]))(tf.zeros((1, 8, 8, 3)))[0].numpy()


def test_a_graph_of_image_operations_is_computed(write):
    path = write(lambda images: tf.nn.relu(images + 1.0, name="layer"))

    assert activations(path).tolist() == np.ones((1, 8, 8, 3)).tolist()


@pytest.mark.parametrize("beta", [0.5, 0.75, 0.6])
def test_the_gradient_of_a_graph_is_the_tapes_and_takes_no_slow_operation(write, beta):
    kernel = np.random.default_rng(5).standard_normal((7, 7, 3, 16), np.float32)

    def layers(images):
        normalized = tf.nn.local_response_normalization(tf.nn.conv2d(images, kernel, 2, "SAME"), 5, 2.0, 1e-4, beta)
        return tf.tanh(normalized / 100.0, name="layer")

    images = tf.constant(np.random.default_rng(6).uniform(0, 255, (1, 32, 48, 3)).astype(np.float32))
    compute = gradient_of(frozen_graph.load(write(layers), a_model("layer")), (Target(layer="layer"),))

    computed = compute(images)

    with tf.GradientTape() as tape:
        tape.watch(images)
        value = tf.reduce_mean(tf.square(layers(images)))
    np.testing.assert_allclose(computed, expected := tape.gradient(value, images), atol=1e-5 * np.abs(expected).max())
    used = {op.type for op in compute.graph.get_operations()}
    assert used & {"Conv2DBackpropInput", "LRNGrad"} == ({"LRNGrad"} if beta == 0.6 else set())


def test_a_graph_that_reads_a_file_is_not_loaded(write, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(12))

    def build(images):
        read = tf.io.decode_raw(tf.io.read_file(str(secret)), tf.float32)
        tf.add(images, read, name="layer")

    with pytest.raises(ModelCorrupt, match=r"ReadFile|DecodeRaw"):
        frozen_graph.load(write(build), a_model("layer"))


def test_a_graph_that_writes_a_file_is_not_loaded(write, tmp_path):
    written = tmp_path / "written"

    def build(images):
        with tf.control_dependencies([tf.io.write_file(str(written), "x")]):
            tf.identity(images, name="layer")

    with pytest.raises(ModelCorrupt, match="WriteFile"):
        frozen_graph.load(write(build), a_model("layer"))
    assert not written.exists()


def test_a_graph_that_calls_a_function_is_not_loaded(write):
    called = tf.function(lambda images: images + 1.0)

    with pytest.raises(ModelCorrupt, match="PartitionedCall"):
        frozen_graph.load(write(lambda images: tf.identity(called(images), name="layer")), a_model("layer"))


def test_what_a_layer_does_not_need_may_do_anything_for_it_is_cut_off(write, tmp_path):
    def build(images):
        layer = tf.nn.relu(images, name="layer")
        tf.io.write_file(str(tmp_path / "written"), tf.strings.as_string(tf.reduce_sum(layer)))

    assert activations(write(build)).shape == (1, 8, 8, 3)
    assert not (tmp_path / "written").exists()


def test_a_description_leaves_out_layers_that_depend_on_a_file(write):
    def build(images):
        clean = tf.nn.conv2d(images, tf.ones((3, 3, 3, 8)), 1, "SAME", name="clean")
        tf.multiply(clean, tf.io.decode_raw(tf.io.read_file("/dev/null"), tf.float32), name="dirty")

    entry = describe.catalog_entry(write(build))

    assert "clean:8/1" in entry
    assert "dirty" not in entry


def test_a_graph_that_refers_to_a_missing_node_is_corrupt(write):
    path = write(lambda images: tf.nn.relu(images, name="layer"))
    graph = frozen_graph.read_graph(path)
    next(node for node in graph.node if node.name == "layer").input[0] = "missing"
    path.write_bytes(graph.SerializeToString())

    with pytest.raises(ModelCorrupt, match="missing"):
        frozen_graph.load(path, a_model("layer"))


def test_the_network_of_the_original_post_needs_no_other_operation(tmp_path):
    graph = frozen_graph.read_graph(stand_in.write_graph(tmp_path / "graph.pb"))

    assert {node.op for node in graph.node} <= ALLOWED
    assert len(allowed_part(graph).node) == len(graph.node)
