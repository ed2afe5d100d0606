"""Tests fetching and loading Inception5h, with a stand-in graph served on this machine."""

import hashlib
import threading
import zipfile
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest
import tensorflow as tf

from shared.errors import ModelCorrupt, ModelUnavailable
from shared.networks import catalog
from shared.settings import Settings
from tests.benchmarks.engine.stand_in import write_graph
from worker import fetch_weights as fetching
from worker.fetch_weights import fetch
from worker.networks import registry

NAME = "inception5h"
BLOCKS = ("3a", "3b", "4a", "4b", "4c", "4d", "4e", "5a", "5b")


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Serves a folder with the graph and its zip. Yields the folder and the URL."""
    folder = tmp_path_factory.mktemp("served")
    graph = write_graph(folder / "tensorflow_inception_graph.pb")
    with zipfile.ZipFile(folder / "inception5h.zip", "w") as archive:
        archive.write(graph, graph.name)
        archive.writestr("LICENSE", "Apache-2.0")
    (folder / "cut.zip").write_bytes((folder / "inception5h.zip").read_bytes()[:100_000])
    with zipfile.ZipFile(folder / "empty.zip", "w"):
        pass
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.fixture
def model(served, monkeypatch):
    """Returns the catalog's entry with the stand-in's URL and checksums."""
    return pinned(served, monkeypatch, "inception5h.zip")


def pinned(served, monkeypatch, archive):
    folder, url = served
    changes = {
        "sha256": sha256(folder / "tensorflow_inception_graph.pb"),
        "checksum": f"sha256:{sha256(folder / archive)}",
        "urls": (f"{url}/{archive}",),
    }
    entry = catalog.MODELS[NAME].model_copy(update=changes)
    monkeypatch.setitem(catalog.MODELS, NAME, entry)
    return entry


@pytest.fixture
def settings(tmp_path):
    return Settings(model_dir=tmp_path / "models")


def left_in(settings):
    return [path for path in settings.model_dir.rglob("*") if path.is_file() or ".fetch" in path.name]


def test_the_zip_is_fetched_checked_and_unpacked_and_every_layer_is_as_listed(model, settings):
    assert not registry.is_ready(NAME, settings.model_dir)

    path = fetch(model, settings)

    assert registry.is_ready(NAME, settings.model_dir)
    assert left_in(settings) == [path]
    network = registry.load(NAME, settings.model_dir)
    named = ["conv2d0", "conv2d1", "conv2d2", *[f"mixed{number}{letter}" for number, letter in BLOCKS]]
    inner = ["mixed4d_3x3_bottleneck_pre_relu", "mixed4a_5x5_pre_relu/conv", "maxpool4", "localresponsenorm1"]

    @tf.function
    def activate(images):
        return network.activations(images, [*named, *inner])

    for layer, activation in zip([*named, *inner], activate(tf.ones((1, 64, 96, 3)) * 128), strict=True):
        known = catalog.layer(model, layer)
        assert activation.shape[1:] == (64 // known.stride, 96 // known.stride, known.channels)


def test_raw_pixels_are_fed_and_no_mean_is_subtracted(model, settings):
    fetch(model, settings)
    network = registry.load(NAME, settings.model_dir)
    pixels = np.random.default_rng(0).uniform(0, 255, (1, 64, 64, 3)).astype(np.float32)
    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(registry.weights_path(model, settings.model_dir).read_bytes())
    weights = {node.name: tf.make_ndarray(node.attr["value"].tensor) for node in graph.node if node.op == "Const"}

    (found,) = tf.function(lambda images: network.activations(images, ["conv2d0_pre_relu"]))(pixels)

    plain = tf.nn.conv2d(pixels, weights["conv2d0_w"], 2, "SAME") + weights["conv2d0_b"]
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-2)


@pytest.mark.parametrize("source", ["inception5h.zip", "tensorflow_inception_graph.pb"])
def test_a_local_file_is_accepted_zipped_or_not(model, settings, served, source):
    fetch(model, settings, source=str(served[0] / source))
    assert registry.is_ready(NAME, settings.model_dir)


def test_a_file_url_is_accepted(model, settings, served):
    fetch(model, settings, source=(served[0] / "inception5h.zip").as_uri())
    assert registry.is_ready(NAME, settings.model_dir)


def test_an_s3_address_is_read_with_the_store_settings(model, settings, served, monkeypatch):
    asked = []

    class Bucket:
        def download(self, key, into):
            asked.append(key)
            into.write((served[0] / "inception5h.zip").read_bytes())
            return True

    def connect(there):
        asked.append(there.s3_bucket)
        return Bucket()

    monkeypatch.setattr(fetching.S3ObjectStorage, "connect", connect)
    fetch(model, settings, source="s3://weights/old/inception5h.zip")
    assert asked == ["weights", "old/inception5h.zip"]
    assert registry.is_ready(NAME, settings.model_dir)


def test_a_wrong_checksum_installs_nothing(model, settings, served):
    with pytest.raises(ModelCorrupt, match=r"has sha256 .*, not "):
        fetch(model, settings, source=f"{served[1]}/cut.zip")
    assert left_in(settings) == []


def test_a_broken_zip_installs_nothing(served, settings, monkeypatch):
    with pytest.raises(ModelCorrupt, match="The zip is broken"):
        fetch(pinned(served, monkeypatch, "cut.zip"), settings)
    assert left_in(settings) == []


def test_a_zip_without_the_graph_installs_nothing(served, settings, monkeypatch):
    with pytest.raises(ModelCorrupt, match=r"holds no tensorflow_inception_graph\.pb"):
        fetch(pinned(served, monkeypatch, "empty.zip"), settings)
    assert left_in(settings) == []


def test_a_zip_with_another_graph_installs_nothing(model, settings):
    other = model.model_copy(update={"sha256": "0" * 64})
    with pytest.raises(ModelCorrupt, match=r"The weights file .* has sha256"):
        fetch(other, settings)
    assert left_in(settings) == []


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("http://127.0.0.1:9/x.zip", "can't be fetched: .*--from"),
        ("{url}/nowhere.zip", "answered 404"),
        ("/no/such/file.zip", "No such file"),
        ("ftp://somewhere/x.zip", r"is neither http\(s\)://"),
    ],
)
def test_an_unreachable_source_is_a_retryable_error(model, settings, served, source, message):
    with pytest.raises(ModelUnavailable, match=message) as refused:
        fetch(model, settings, source=source.format(url=served[1]))
    assert refused.value.retryable
    assert left_in(settings) == []


def test_a_network_in_a_package_can_not_be_fetched(settings):
    with pytest.raises(ModelUnavailable, match="comes with the package"):
        fetch(catalog.MODELS["efficientnet-lite0"], settings)


def test_addresses_are_tried_in_turn_until_one_has_the_right_file(model, settings, served):
    url = served[1]
    places = (f"{url}/nowhere.zip", f"{url}/cut.zip", f"{url}/inception5h.zip")

    path = fetch(model.model_copy(update={"urls": places}), settings)

    assert left_in(settings) == [path]


def test_when_no_address_has_it_all_are_named_with_what_was_wrong(model, settings, served):
    url = served[1]
    lost = model.model_copy(update={"urls": (f"{url}/nowhere.zip", f"{url}/cut.zip")})
    with pytest.raises(ModelUnavailable, match=r"None of the addresses .*nowhere\.zip answered 404.* has sha256 "):
        fetch(lost, settings)
    assert left_in(settings) == []


def test_what_is_ready_is_not_fetched_again(model, settings):
    fetch(model, settings)
    seen = []
    fetch(model, settings, on_bytes=lambda *_: seen.append(1))
    assert seen == []


def test_a_download_says_how_far_it_is(model, settings, served):
    seen = []
    fetch(model, settings, on_bytes=lambda done, total: seen.append((done, total)))
    size = (served[0] / "inception5h.zip").stat().st_size
    assert seen[-1] == (size, size)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


@pytest.mark.parametrize("kind", ["sha256", "sha1", "md5"])
def test_checksums_of_three_kinds_are_known(model, settings, served, kind):
    digits = hashlib.new(kind, (served[0] / "inception5h.zip").read_bytes()).hexdigest()
    known = model.model_copy(update={"checksum": f"{kind}:{digits}"})
    fetch(known, settings)
    assert registry.is_ready(NAME, settings.model_dir)
    (settings.model_dir / NAME / model.file).unlink()
    with pytest.raises(ModelCorrupt, match=f"has {kind} {digits}, not 0"):
        fetch(model.model_copy(update={"checksum": f"{kind}:{'0' * len(digits)}"}), settings)


def test_a_file_that_was_changed_afterwards_is_not_offered(model, settings):
    path = fetch(model, settings)
    path.write_bytes(path.read_bytes()[:-1] + b"x")

    assert not registry.is_ready(NAME, settings.model_dir)
    with pytest.raises(ModelCorrupt, match=r"has sha256 .*, not"):
        registry.load(NAME, settings.model_dir)
