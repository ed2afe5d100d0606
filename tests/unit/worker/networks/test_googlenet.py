"""Tests GoogLeNet on small .caffemodel files made here, against plain versions of its operations."""

import hashlib

import numpy as np
import pytest
import tensorflow as tf

from shared.errors import ModelCorrupt, ModelUnavailable
from shared.networks import catalog
from shared.settings import Settings
from tests.unit.worker.networks.caffe_files import caffemodel, thin_googlenet, thin_weights
from worker.fetch_weights import fetch
from worker.networks import googlenet, registry
from worker.networks.weights.caffemodel import read_weights

GENERATIONS = (1, 2)


@pytest.fixture(scope="module")
def weights():
    return thin_weights()


@pytest.fixture(params=GENERATIONS)
def file(request, weights, tmp_path):
    path = tmp_path / "thin.caffemodel"
    path.write_bytes(caffemodel(weights, generation=request.param))
    return path


@pytest.fixture
def images():
    return np.random.default_rng(3).uniform(0, 255, (1, 96, 65, 3)).astype(np.float32)


def test_both_generations_are_read_and_only_the_layers_that_were_asked_for(file, weights):
    found = read_weights(file, ["conv1/7x7_s2", "inception_4c/5x5"])

    assert list(found) == ["conv1/7x7_s2", "inception_4c/5x5"]
    for name, (kernel, bias) in found.items():
        np.testing.assert_array_equal(kernel, weights[name][0])
        np.testing.assert_array_equal(bias.ravel(), weights[name][1])


def test_every_layer_of_the_catalog_is_a_target_with_its_channels_and_stride(file):
    network = googlenet.load(file, thin_googlenet())
    layers = thin_googlenet().layers
    assert len(layers) == 81

    found = network.activations(tf.ones((1, 64, 96, 3)) * 128, [layer.name for layer in layers])

    for layer, activation in zip(layers, found, strict=True):
        assert activation.shape[1:] == (64 // layer.stride, 96 // layer.stride, layer.channels), layer.name


def test_the_first_layers_are_caffes_operations(file, weights, images):
    """Checks mean subtraction, BGR, zero padding, ReLU, max pooling that rounds up, and LRN over five channels."""
    network = googlenet.load(file, thin_googlenet())

    conv, pool, norm = network.activations(images, ["conv1/7x7_s2", "pool1/3x3_s2", "pool1/norm1"])

    kernel, bias = weights["conv1/7x7_s2"]
    bgr = np.pad(images[0, ..., ::-1] - (104, 117, 123), ((3, 3), (3, 3), (0, 0)))
    expected = [
        np.maximum(0, np.einsum("yxc,ocyx->o", bgr[y : y + 7, x : x + 7], kernel) + bias)
        for y in range(0, 96, 2)
        for x in range(0, 65, 2)
    ]
    np.testing.assert_allclose(conv[0], np.reshape(expected, (48, 33, 8)), rtol=1e-3, atol=1e-2)
    plain = conv[0].numpy()
    tops = [plain[y : y + 3, x : x + 3].max((0, 1)) for y in range(0, 47, 2) for x in range(0, 32, 2)]
    np.testing.assert_array_equal(pool[0], np.reshape(tops, (24, 16, 8)))  # Caffe: ceil((48 - 3) / 2) + 1 = 24
    squares = np.pad(pool[0].numpy() ** 2, ((0, 0), (0, 0), (2, 2)))
    sums = sum(squares[..., k : k + 8] for k in range(5))
    np.testing.assert_allclose(norm[0], pool[0] / (1 + 1e-4 / 5 * sums) ** 0.75, rtol=1e-4)


def test_a_module_joins_its_four_branches(file, weights, images):
    network = googlenet.load(file, thin_googlenet())
    names = [f"inception_3a/{branch}" for branch in ("1x1", "3x3", "5x5", "pool_proj", "output")]

    *branches, joined = network.activations(images, names)
    below, pooled = network.activations(images, ["pool2/3x3_s2", "inception_3a/pool"])

    np.testing.assert_array_equal(joined, np.concatenate(branches, axis=-1))
    kernel, bias = weights["inception_3a/1x1"]
    plain = np.maximum(0, np.einsum("nyxc,oc->nyxo", below, kernel[..., 0, 0]) + bias)
    np.testing.assert_allclose(branches[0], plain, rtol=1e-3, atol=1e-2)
    top = below[0].numpy()[:3, :3].max((0, 1))
    np.testing.assert_array_equal(pooled[0, 1, 1], top)


def test_the_grid_begins_at_the_same_place_whatever_the_size(file, images):
    """Checks that a window's activations are the whole image's, except near its edges, so tiles of any size agree."""
    network = googlenet.load(file, thin_googlenet())
    whole, window = (network.activations(x, ["inception_3a/1x1"])[0] for x in (images, images[:, :87, :60]))
    np.testing.assert_allclose(window[0, :6, :5], whole[0, :6, :5], rtol=1e-4, atol=1e-3)


def test_it_can_be_dreamt_of(file, images):
    network = googlenet.load(file, thin_googlenet())

    @tf.function
    def gradient(x):
        return tf.gradients(tf.reduce_sum(tf.square(network.activations(x, ["inception_5b/output"])[0])), x)[0]

    assert np.isfinite(gradient(tf.constant(images)).numpy()).all()


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda whole: whole[: len(whole) // 2], "not a whole .caffemodel|has no layer"),
        (lambda whole: whole[:-1], "not a whole .caffemodel"),
        (lambda _: b"<html>404</html>", "not a whole .caffemodel"),
        (lambda _: b"", "has no layer 'conv1/7x7_s2'"),
    ],
    ids=["half", "one byte short", "a web page", "empty"],
)
def test_a_file_that_is_cut_or_of_another_kind_is_refused(tmp_path, weights, generation, spoil, message):
    path = tmp_path / "spoilt.caffemodel"
    path.write_bytes(spoil(caffemodel(weights, generation=generation)))
    with pytest.raises(ModelCorrupt, match=message):
        googlenet.load(path, thin_googlenet())


def test_a_missing_layer_is_named(tmp_path, weights):
    path = tmp_path / "short.caffemodel"
    left = {name: storage for name, storage in weights.items() if name != "inception_5b/pool_proj"}
    path.write_bytes(caffemodel(left, generation=1))
    with pytest.raises(ModelCorrupt, match=r"short\.caffemodel has no layer 'inception_5b/pool_proj'"):
        googlenet.load(path, thin_googlenet())


def test_another_networks_weights_are_refused(tmp_path, weights):
    path = tmp_path / "other.caffemodel"
    path.write_bytes(caffemodel({**weights, "conv2/3x3": weights["conv1/7x7_s2"]}, generation=2))
    with pytest.raises(ModelCorrupt, match=r"The layer 'conv2/3x3' has weights of the shapes \[\(8, 3, 7, 7\)"):
        googlenet.load(path, thin_googlenet())


def test_a_file_that_is_not_there_can_be_tried_again(tmp_path):
    with pytest.raises(ModelUnavailable, match="can't be read"):
        googlenet.load(tmp_path / "none.caffemodel", thin_googlenet())


class TestAFileOfOnesOwn:
    """`fetch --from FILE --sha256 ...`: the published file has a SHA-1, and this is another file."""

    @pytest.fixture
    def model(self, monkeypatch):
        thin = thin_googlenet()
        entry = thin.model_copy(update={"checksum": "sha1:" + "0" * 40, "urls": ("http://127.0.0.1:9/x",)})
        monkeypatch.setitem(catalog.MODELS, "googlenet", entry)
        return entry

    @pytest.fixture
    def settings(self, tmp_path):
        return Settings(model_dir=tmp_path / "models")

    def left_in(self, settings):
        return [path.name for path in settings.model_dir.rglob("*") if path.is_file() or ".fetch" in path.name]

    def test_it_is_refused_unless_vouched_for(self, model, settings, file):
        with pytest.raises(ModelCorrupt, match=r"has sha1 .*, not 000.*--sha256 takes a file that you trust"):
            fetch(model, settings, source=str(file))
        assert self.left_in(settings) == []

    def test_it_is_accepted_with_its_sha256_which_counts_from_then_on(self, model, settings, file):
        sha256 = hashlib.sha256(file.read_bytes()).hexdigest()

        path = fetch(model, settings, source=str(file), sha256=sha256)

        assert registry.is_ready("googlenet", settings.model_dir)
        assert registry.load("googlenet", settings.model_dir).weights_sha256 == sha256
        path.write_bytes(path.read_bytes()[:-1] + b"x")
        assert not registry.is_ready("googlenet", settings.model_dir)

    def test_another_sha256_installs_nothing(self, model, settings, file):
        with pytest.raises(ModelCorrupt, match="has sha256"):
            fetch(model, settings, source=str(file), sha256="1" * 64)
        assert self.left_in(settings) == []

    def test_a_file_that_can_not_be_loaded_is_not_installed_even_if_vouched_for(self, model, settings, file):
        file.write_bytes(file.read_bytes()[:-100])
        with pytest.raises(ModelCorrupt, match="not a whole"):
            fetch(model, settings, source=str(file), sha256=hashlib.sha256(file.read_bytes()).hexdigest())
        assert self.left_in(settings) == []

    def test_what_lies_there_without_a_word_about_it_is_the_published_file_or_not_used(self, model, settings, file):
        path = registry.weights_path(model, settings.model_dir)
        path.parent.mkdir(parents=True)
        path.write_bytes(file.read_bytes())
        assert not registry.is_ready("googlenet", settings.model_dir)
