"""Tests each step of the engine against the plain reference, from the same image."""

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf

from shared.errors import NonFiniteGradient
from shared.params import DreamParams, Target
from tests.benchmarks.engine import reference
from tests.fakes.toy_networks import brightness_network, photograph
from worker.dream.ascent import host_ascent as on_host
from worker.dream.ascent import rng
from worker.dream.ascent.gradient import gradient_of
from worker.dream.ascent.host_ascent import Ascent
from worker.dream.ascent.memory import TilePlan
from worker.dream.gpu import gpu_ascent
from worker.dream.progress.progress_tracker import ProgressTracker
from worker.dream.tiles.tiling import choose_layout

STEP_TOLERANCE = 1e-3  # gray levels


def an_ascent(network, params, *, height, width, batch=2, observer=None, **options):
    layers = [target.layer for target in params.layers]
    return Ascent(
        params=params,
        gradient=gradient_of(network, params.layers),
        stride=network.stride(layers),
        halo=network.halo(layers),
        plan=TilePlan(params.tile_size, batch),
        progress=ProgressTracker(observer, [(height, width)], params.iterations),
        **options,
    )


def choices(ascent, height, width, octave, iteration):
    """Returns the tiles and the shift of an iteration, as the reference takes them."""
    random = rng.generator(ascent.params.seed, octave, iteration)
    shift = rng.shift(random, ascent.params.jitter, height, width)
    tile_size, stride = ascent.params.tile_size, ascent.stride
    layout = choose_layout(height, width, tile_size=tile_size, stride=stride, halo=ascent.halo, side_by_side=True)
    return layout.tiles(random), shift


class RecordingObserver:
    """Keeps every iteration's image."""

    def __init__(self):
        self.images = []

    def tile_done(self, mark):
        pass

    def iteration_done(self, point):
        self.images.append(point.image.copy())


@pytest.mark.slow
@pytest.mark.parametrize("ascend", [on_host.ascend, gpu_ascent.ascend], ids=["host", "device"])
@pytest.mark.parametrize("size", [(100, 90), (261, 333)], ids=["one tile", "tiles"])
@pytest.mark.parametrize(
    "options",
    [
        {"color": color, "smooth": smooth, "normalize": normalize}
        for color in ("keep", "free")
        for smooth in (True, False)
        for normalize in ("std", "mean")
    ],
    ids=lambda options: "-".join(map(str, options.values())),
)
def test_each_step_is_the_references(toy, toy_params, ascend, size, options):
    height, width = size
    params = toy_params.model_copy(update=options)
    observer = RecordingObserver()
    ascent = an_ascent(toy, params, height=height, width=width, observer=observer)
    image = photograph(height, width)
    before = image.copy()

    ascend(ascent, image, 0, 0)

    gradient = reference.gradient_of(toy, params.layers)
    for iteration, after in enumerate(observer.images):
        expected = reference.step(before, iteration, params, gradient, choices(ascent, height, width, 0, iteration))
        assert np.abs(after - expected).max() < STEP_TOLERANCE
        before = after


@pytest.mark.parametrize("ascend", [on_host.ascend, gpu_ascent.ascend], ids=["host", "device"])
def test_a_step_of_2015_is_the_bare_gradient_over_its_mean_size(toy, toy_params, ascend):
    classic = {"normalize": "mean", "smooth": False, "color": "free", "jitter": 0, "iterations": 1, "step_size": 1.5}
    params = toy_params.model_copy(update=classic)
    image = photograph(100, 90)
    before = image.copy()

    ascend(an_ascent(toy, params, height=100, width=90), image, 0, 0)

    g = gradient_of(toy, params.layers)(before[None])[0].numpy()
    np.testing.assert_allclose(image, before + 1.5 / np.abs(g).mean() * g, atol=STEP_TOLERANCE)
    assert np.abs(image - before).mean() == pytest.approx(1.5, rel=1e-3)


@pytest.mark.slow
@pytest.mark.parametrize("ascend", [on_host.ascend, gpu_ascent.ascend], ids=["host", "device"])
def test_each_step_is_the_references_on_lite0(lite0, lite0_params, ascend):
    """Both take a window's gradient from one function, because two could differ in a last bit, and a ReLU near zero
    would make gray levels of it. That function is compared with the reference's in test_gradient.py."""

    height, width = 200, 431
    observer = RecordingObserver()
    ascent = an_ascent(lite0, lite0_params, height=height, width=width, batch=1, observer=observer)
    image = photograph(height, width)
    before = image.copy()

    ascend(ascent, image, 0, 0)

    def gradient(window):
        return ascent.gradient(tf.constant(window[None])).numpy()[0]

    for iteration, after in enumerate(observer.images):
        chosen = choices(ascent, height, width, 0, iteration)
        assert len(chosen[0]) > 1
        expected = reference.step(before, iteration, lite0_params, gradient, chosen)
        assert np.abs(after - expected).max() < STEP_TOLERANCE
        before = after


@pytest.mark.parametrize("color", ["keep", "free"])
def test_an_octave_of_three_iterations_stays_within_70_db(toy, toy_params, color):
    params = toy_params.model_copy(update={"color": color})
    ascent = an_ascent(toy, params, height=261, width=333)
    image = photograph(261, 333)
    expected = image.copy()

    on_host.ascend(ascent, image, 0, 0)

    gradient = reference.gradient_of(toy, params.layers)
    for iteration in range(3):
        expected = reference.step(expected, iteration, params, gradient, choices(ascent, 261, 333, 0, iteration))
    error = np.sqrt(np.mean((image - expected) ** 2))
    assert 20 * np.log10(255 / error) >= 70


def test_every_pixels_gradient_is_its_own_where_the_true_one_is_known():
    """Uses mean(image²), whose gradient is the image up to a factor: a missed or doubled pixel shows."""
    params = a_known_gradients_params()
    image = photograph(951, 1271)
    ascent = an_ascent(brightness_network(), params, height=951, width=1271)
    gradient = np.full_like(image, np.nan)

    on_host.tiled_gradient(ascent, image, gradient, 0, 0)

    tiles, _ = choices(ascent, 951, 1271, 0, 0)
    assert len(tiles) > 4
    for tile in tiles:
        core = tuple(slice(*span) for span in tile.core)
        np.testing.assert_allclose(gradient[core] * image[core].std(), image[core], rtol=1e-4)


def a_known_gradients_params():
    return DreamParams(layers=(Target(layer="pixels"),), jitter=0, iterations=1, tile_size=400)


@pytest.mark.parametrize("ascend", [on_host.ascend, gpu_ascent.ascend], ids=["host", "device"])
def test_a_gradient_that_is_not_finite_is_refused(ascend):
    image = photograph(80, 80)
    image[3, 4] = np.inf
    ascent = an_ascent(brightness_network(), a_known_gradients_params(), height=80, width=80)

    with pytest.raises(NonFiniteGradient):
        ascend(ascent, image, 0, 0)


@pytest.mark.parametrize("ascend", [on_host.ascend, gpu_ascent.ascend], ids=["host", "device"])
def test_a_gradient_that_overflows_in_the_blur_is_refused(ascend):
    params = a_known_gradients_params().model_copy(update={"normalize": "mean"})
    ascent = an_ascent(brightness_network(), params, height=80, width=80)
    huge = replace(ascent, gradient=lambda windows: tf.fill(tf.shape(windows), 3e38))

    with pytest.raises(NonFiniteGradient):
        ascend(huge, photograph(80, 80), 0, 0)


def test_three_steps_raise_the_objective(lite0, lite0_params):
    image = photograph(200, 300)
    ascent = an_ascent(lite0, lite0_params, height=200, width=300)

    def objective(picture):
        return float(np.mean(np.square(lite0.activations(picture[None], ["block11_expand"])[0])))

    before = objective(image)
    on_host.ascend(ascent, image, 0, 0)

    assert objective(image) > 1.2 * before


def test_a_negative_weight_pushes_the_feature_away(toy, toy_params):
    params = toy_params.model_copy(update={"layers": (Target(layer="layer2", weight=-1),), "step_size": 1.0})
    image = photograph(120, 120)
    before = np.mean(np.square(toy.activations(image[None], ["layer2"])[0]))

    on_host.ascend(an_ascent(toy, params, height=120, width=120), image, 0, 0)

    assert np.mean(np.square(toy.activations(image[None], ["layer2"])[0])) < before
