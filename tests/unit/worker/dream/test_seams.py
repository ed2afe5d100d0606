"""Tests that tiles leave no seams: where they meet, neither the true gradient nor the normalized one jumps."""

import numpy as np
import pytest
import skimage.data
import tensorflow as tf
from scipy.spatial import distance

from shared.params import DreamParams, Target
from tests.unit.worker.dream.ascent.test_ascent import an_ascent, choices
from worker.dream.ascent import host_ascent as on_host
from worker.dream.ascent.gradient import gradient_of
from worker.dream.ascent.memory import HALOS_PER_TILE
from worker.dream.tiles.tiling import choose_layout

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 811, 1013


@pytest.fixture(scope="module")
def retina():
    whole = skimage.data.retina()[300 : 300 + HEIGHT, 200 : 200 + WIDTH]
    return whole.astype(np.float32)


@pytest.mark.parametrize(("layer", "count"), [("block8_expand", 3), ("block11_expand", 4), ("block13_expand", 4)])
def test_the_tiled_gradient_points_where_the_whole_images_does(lite0, retina, layer, count):
    targets = (Target(layer=layer),)
    compute = gradient_of(lite0, targets)
    whole = compute(tf.constant(retina[None])).numpy()[0]
    tile_size = max(560, HALOS_PER_TILE * lite0.halo([layer]))  # no smaller one is chosen unless memory is very short

    layout = choose_layout(HEIGHT, WIDTH, tile_size=tile_size, stride=lite0.strides[layer], halo=lite0.halo([layer]))
    tiles = layout.tiles(np.random.default_rng(0))
    tiled = np.empty_like(whole)
    for tile in tiles:
        window = retina[slice(*tile.window[0]), slice(*tile.window[1])]
        on_window = compute(tf.constant(window[None])).numpy()[0]
        tiled[slice(*tile.core[0]), slice(*tile.core[1])] = on_window[tile.core_in_window]

    assert len(tiles) >= count
    assert distance.cosine(tiled.ravel(), whole.ravel()) <= 0.02


def test_the_normalised_gradient_jumps_no_more_across_cuts_than_elsewhere(lite0, retina):
    params = DreamParams(layers=(Target(layer="block11_expand"),), jitter=16, tile_size=560)
    ascent = an_ascent(lite0, params, height=HEIGHT, width=WIDTH)
    gradient = np.empty_like(retina)
    across, elsewhere = [], []

    for iteration in range(3):
        on_host.tiled_gradient(ascent, retina, gradient, 0, iteration)
        tiles, shift = choices(ascent, HEIGHT, WIDTH, 0, iteration)
        cuts = {tile.core[1][0] + shift[1] for tile in tiles} - {shift[1]}
        jumps = np.abs(np.diff(gradient, axis=1)).mean(axis=(0, 2))  # [x] between x and x + 1
        across += [jumps[cut - 1] for cut in cuts]
        elsewhere += [np.mean([jumps[cut - 1 + by] for by in (-60, -45, -30, 30, 45, 60)]) for cut in cuts]

    assert len(across) >= 3
    assert np.mean(across) < 1.35 * np.mean(elsewhere)
