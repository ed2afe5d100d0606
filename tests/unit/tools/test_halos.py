"""The halos of the catalog, and how they are measured."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from shared.networks import catalog
from tests.fakes.toy_networks import photograph
from tools import halos
from worker.dream.ascent.gradient import gradient_of
from worker.dream.network import Network
from worker.dream.tiles.tiling import choose_layout

NAMES = ("efficientnet-lite0", "googlenet", "inception5h")


@pytest.fixture(scope="module")
def deep():
    """Builds a network whose layers see far: ten 5 x 5 convolutions, stride 4."""
    random = np.random.default_rng(2)
    kernels = [
        (random.normal(0, np.sqrt(2 / (25 * wide)), (5, 5, wide, 8)).astype(np.float32), 2 if depth < 2 else 1)
        for depth, wide in enumerate([3] + 9 * [8])
    ]

    def activations(images, layers):
        found, x = {}, images / 128.0 - 1.0
        for depth, (kernel, stride) in enumerate(kernels):
            x = tf.nn.relu(tf.nn.conv2d(x, kernel, stride, "SAME"))
            found[f"layer{depth}"] = x
        return [found[layer] for layer in layers]

    strides = {f"layer{depth}": 2 if depth == 0 else 4 for depth in range(10)}
    return Network(
        name="deep",
        weights_sha256="0" * 64,
        minimum_px=64,
        gradient_bytes_per_px=300,
        strides=strides,
        activations=activations,
    )


def tiled_cosine(network, layer, halo):
    image, stride = photograph(640, 640), network.strides[layer]
    compute = gradient_of(network, (halos.Target(layer=layer),))
    whole = compute(tf.constant(image[None])).numpy()[0]
    tiled = np.empty_like(whole)
    for tile in choose_layout(640, 640, tile_size=400, stride=stride, halo=halo).tiles(np.random.default_rng(0)):
        window = image[slice(*tile.window[0]), slice(*tile.window[1])]
        core = compute(tf.constant(window[None])).numpy()[0][tile.core_in_window]
        tiled[slice(*tile.core[0]), slice(*tile.core[1])] = core
    return float((tiled * whole).sum() / np.sqrt((tiled**2).sum() * (whole**2).sum()))


@pytest.mark.parametrize("layer", ["layer1", "layer5", "layer9"])
def test_tiles_with_the_measured_halo_have_the_whole_images_gradient(deep, layer):
    halo = halos.halo_from(halos.lost_by_distance(deep, layer), deep.strides[layer])

    assert tiled_cosine(deep, layer, halo) >= 0.98


def test_a_layer_that_sees_further_gets_a_wider_halo_at_the_same_stride(deep):
    measured = [
        halos.halo_from(halos.lost_by_distance(deep, layer), deep.strides[layer]) for layer in ("layer1", "layer9")
    ]

    assert measured[0] < measured[1]


@pytest.mark.parametrize("name", NAMES)
def test_every_layer_of_the_measured_networks_has_a_halo(name):
    model = catalog.MODELS[name]

    assert set(model.halos) == {layer.name for layer in model.layers}
    assert all(16 <= halo <= halos.WIDEST and halo % halos.STEP == 0 for halo in model.halos.values())


def test_the_widest_of_several_targets_halos_counts(deep):
    network = dataclasses.replace(deep, halos={"layer1": 24, "layer5": 40})

    assert network.halo(["layer1", "layer5"]) == 40
    assert network.halo(["layer1", "layer9"]) == 24  # four strides for what is not measured are less
