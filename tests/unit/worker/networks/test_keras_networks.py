"""Tests Keras's networks and the user's own, with random weights."""

import subprocess
import sys
import textwrap

import h5py
import keras
import numpy as np
import pytest
import tensorflow as tf
from keras.src.legacy.saving import legacy_h5_format

from shared.errors import InvalidSettings, ModelCorrupt
from shared.networks import catalog
from shared.networks.model import read_models
from shared.params import DreamParams
from worker.dream.engine import dream
from worker.networks import describe, registry
from worker.networks.preprocessing import PREPROCESSING

# Keras's own, when it turns its variables into arrays.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

# One of each preprocessing and naming; ResNet50 and VGG19 add nothing but time.
APPLICATIONS = ["inceptionv3", "vgg16", "mobilenetv2"]


@pytest.fixture(autouse=True)
def own_catalog(monkeypatch):
    monkeypatch.setattr(catalog, "MODELS", dict(catalog.MODELS))


@pytest.fixture
def photo():
    return np.random.default_rng(0).uniform(0, 255, (100, 130, 3)).astype(np.float32)


def gradient_of(network, layer, image):
    @tf.function
    def gradient(images):
        (activation,) = network.activations(images, [layer])
        return activation, tf.gradients(tf.reduce_sum(tf.square(activation)), images)[0]

    return gradient(tf.constant(image[None]))


@pytest.mark.parametrize("name", APPLICATIONS)
def test_a_keras_application_loads_its_weights_and_has_the_listed_layers(name, tmp_path):
    model = catalog.MODELS[name]
    trunk = getattr(keras.applications, model.architecture)(
        include_top=False, weights=None, input_shape=(None, None, 3)
    )
    path = tmp_path / name / model.file
    path.parent.mkdir()
    with h5py.File(path, "w") as file:  # the format of the files that Keras publishes
        legacy_h5_format.save_weights_to_hdf5_group(file, trunk)

    network = registry.load_file(path, model)

    wanted = [model.layers[0], catalog.layer(model, model.default_layer), model.layers[-1]]

    @tf.function
    def activate(images):
        return network.activations(images, [layer.name for layer in wanted])

    sizes = [activate(tf.zeros((1, side, side, 3))) for side in (128, 192)]
    for layer, small, large in zip(wanted, *sizes, strict=True):
        assert (large.shape[1] - small.shape[1], large.shape[3]) == (64 // layer.stride, layer.channels)


def test_layer_names_do_not_depend_on_models_built_before():
    def build():
        x = photo = keras.Input((None, None, 3))
        for _ in range(3):
            x = keras.layers.Activation("relu")(keras.layers.Conv2D(2, 3)(x))
        return keras.Model(photo, keras.layers.MaxPooling2D(name="named")(x))

    names = ["conv2d", "activation", "conv2d_1", "activation_1", "conv2d_2", "activation_2", "named"]
    assert [list(describe.spatial_layers(build())) for _ in range(2)] == [names, names]


@pytest.mark.parametrize("mode", ["tf", "torch", "caffe"])
def test_pixels_are_prepared_as_keras_prepares_them(mode, photo):
    theirs = keras.applications.imagenet_utils.preprocess_input(photo[None].copy(), mode=mode)
    np.testing.assert_allclose(PREPROCESSING[mode](tf.constant(photo[None])), theirs, rtol=1e-5, atol=1e-4)


def test_a_file_with_other_weights_is_corrupt(tmp_path):
    path = tmp_path / "vgg16" / catalog.MODELS["vgg16"].file
    path.parent.mkdir()
    path.write_bytes(b"no weights at all")
    with pytest.raises(ModelCorrupt, match=r"has md5 .*, not 6d6bbae1"):
        registry.load("vgg16", tmp_path)
    with pytest.raises(ModelCorrupt, match="VGG16"):
        registry.load_file(path, catalog.MODELS["vgg16"])


def a_keras_model(path):
    keras.Sequential(
        [
            keras.Input((64, 64, 3)),
            keras.layers.Rescaling(1 / 255),
            keras.layers.Conv2D(8, 5, strides=2, padding="same", activation="relu", name="edges"),
            keras.layers.Conv2D(12, 3, strides=2, padding="same", activation="relu", name="shapes"),
            keras.layers.Flatten(),
            keras.layers.Dense(3),
        ]
    ).save(path)


def a_graph(path):
    with tf.Graph().as_default() as graph:
        x = tf.compat.v1.placeholder(tf.float32, [None, None, None, 3], name="photo")
        x = tf.subtract(tf.reverse(x, [3], name="bgr"), 117.0, name="centered")
        x = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], name="padded")
        weights = tf.constant(np.random.default_rng(1).normal(0, 0.2, (3, 3, 3, 6)).astype(np.float32), name="weights")
        x = tf.nn.relu(tf.nn.conv2d(x, weights, 2, "SAME"), name="lines")
        tf.reduce_mean(tf.nn.max_pool2d(x, 2, 2, "SAME", name="spots"), axis=(1, 2), name="scores")
    path.write_bytes(graph.as_graph_def().SerializeToString())


@pytest.mark.parametrize(
    ("file", "make", "layer"), [("mine.keras", a_keras_model, "shapes"), ("mine.pb", a_graph, "spots")]
)
def test_a_custom_model_is_described_added_to_the_catalog_and_dreams(file, make, layer, tmp_path, photo):
    make(tmp_path / file)
    entry = describe.catalog_entry(tmp_path / file)
    (tmp_path / "catalog.toml").write_text(entry)

    catalog.extend(tmp_path / "catalog.toml")
    params = catalog.resolve(DreamParams(model="mine", layers=({"layer": layer},), octaves=1, iterations=3))
    network = registry.load("mine", tmp_path / "elsewhere")
    before, _ = gradient_of(network, layer, photo)
    picture, report = dream(network, photo.copy(), params)
    after, _ = gradient_of(network, layer, picture)

    assert params.jitter == 4
    assert report.model == "mine"
    assert np.square(after).mean() > np.square(before).mean()


def test_a_dense_head_weights_and_what_prepares_pixels_are_not_layers(tmp_path):
    a_keras_model(tmp_path / "mine.keras")
    a_graph(tmp_path / "mine.pb")
    for file, names in (("mine.keras", ["edges", "shapes"]), ("mine.pb", ["lines", "spots"])):
        (tmp_path / "catalog.toml").write_text(describe.catalog_entry(tmp_path / file))
        (model,) = read_models(tmp_path / "catalog.toml")
        assert [layer.name for layer in model.layers if "Conv" not in layer.name] == names


def test_code_in_a_keras_file_is_refused(tmp_path):
    keras.Sequential([keras.Input((8, 8, 3)), keras.layers.Lambda(lambda x: x), keras.layers.Conv2D(1, 1)]).save(
        tmp_path / "evil.keras"
    )
    with pytest.raises(ModelCorrupt, match="can dream"):
        describe.catalog_entry(tmp_path / "evil.keras")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[model]]\nname = 'x'\n", "title: Field required"),
        ("model = 3", "can't be read"),
        ("[[model", "can't be read"),
        ("layers", "'a:b/c' does not have the form"),
        ("default", "has no layer 'c'"),
        ("twice", "named twice"),
    ],
)
def test_an_invalid_catalog_file_is_refused_with_the_position_of_the_error(tmp_path, text, message):
    entry = "[[model]]\nname='x'\ntitle='x'\nlicense='x'\nsource='x'\nloader='x'\nfile='x'\n"
    layers = {
        "layers": "default_layer='a'\nlayers='a:b/c'",
        "default": "default_layer='c'\nlayers='a:3/4'",
        "twice": "default_layer='a'\nlayers='a:3/4 a:3/4'",
    }
    (tmp_path / "catalog.toml").write_text(entry + layers[text] if text in layers else text)
    with pytest.raises(InvalidSettings, match=message):
        catalog.extend(tmp_path / "catalog.toml")


def test_a_built_in_name_can_not_be_taken(tmp_path):
    a_graph(tmp_path / "vgg16.pb")
    (tmp_path / "catalog.toml").write_text(describe.catalog_entry(tmp_path / "vgg16.pb"))
    with pytest.raises(InvalidSettings, match="built-in"):
        catalog.extend(tmp_path / "catalog.toml")


def test_fetching_does_not_import_tensorflow():
    code = "import sys, worker.fetch_weights; sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)"
    subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=True)
