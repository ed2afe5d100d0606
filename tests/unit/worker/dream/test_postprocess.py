"""Tests mask, color, strength, brightness and size, through whole dreams of a toy network."""

import numpy as np
import pytest

from shared.params import DreamParams, Target
from tests.fakes.toy_networks import photograph, toy_network
from worker.dream.activations import layer_activations
from worker.dream.engine import dream
from worker.dream.inputs import Inputs
from worker.dream.postprocess import LUMA, Light, Photograph, region
from worker.dream.progress.observer import ResumePoint

LAYERS = (Target(layer="layer2"),)


def dreamed(photo, *, inputs=None, observer=None, resume=None, keep_gradient=None, **params):
    chosen = {"model": "toy", "layers": LAYERS, "octaves": 2, "iterations": 3, "jitter": 4, "tile_size": 256} | params
    image, _ = dream(
        NETWORK,
        photo.copy(),
        DreamParams(**chosen),
        inputs=inputs or Inputs(),
        observer=observer,
        resume=resume,
        keep_gradient=keep_gradient,
    )
    return image


NETWORK = toy_network()


@pytest.fixture
def photo():
    return np.rint(photograph(120, 160))


def luma(image):
    return image @ LUMA[0]


def test_outside_of_the_mask_the_photograph_stays_to_the_last_bit(photo):
    mask = np.zeros((30, 40), np.float32)
    mask[:, 20:] = 1
    image = dreamed(photo, inputs=Inputs(mask=mask))
    assert np.array_equal(np.rint(image[:, :70]), photo[:, :70])
    assert np.abs(image[:, 90:] - photo[:, 90:]).mean() > 1


def test_a_soft_mask_fades(photo):
    half = dreamed(photo, inputs=Inputs(mask=np.full((7, 9), 0.5, np.float32)))
    whole = dreamed(photo)
    assert 0.1 < np.abs(half - photo).mean() / np.abs(whole - photo).mean() < 0.6


def test_a_mask_of_any_size_is_brought_to_the_octaves():
    mask = np.eye(2, dtype=np.float32)
    assert region(mask, 40, 60).shape == (40, 60, 1)
    assert region(np.ones((400, 300), np.float32), 40, 60).min() == pytest.approx(1)


def test_original_colors_keep_the_photographs_chroma(photo):
    photo = photo * 0.4 + 70  # room for the light to change without clipping
    image = dreamed(photo, color="original")
    np.testing.assert_allclose(image - luma(image)[..., None], photo - luma(photo)[..., None], atol=0.02)
    assert np.abs(luma(image) - luma(photo)).mean() > 0.5


def test_strength_fades_between_photograph_and_dream(photo):
    whole, half = dreamed(photo), dreamed(photo, strength=0.5)
    np.testing.assert_allclose(half, (whole + photo) / 2, atol=0.01)


def test_the_brightness_lock_keeps_the_large_scale_light(photo):
    photo = photo * 0.4 + 70
    params = {"iterations": 12, "step_size": 6.0}
    np.testing.assert_allclose(Light([photo]).restored(photo - 20, 0), photo, atol=1.0)

    def drift(image):
        return np.abs(luma(image).reshape(4, 30, 4, 40).mean((1, 3)) - luma(photo).reshape(4, 30, 4, 40).mean((1, 3)))

    assert drift(dreamed(photo, brightness_lock=True, **params)).mean() < drift(dreamed(photo, **params)).mean()


def test_a_photograph_is_kept_exactly_whether_it_has_8_or_16_bits(photo):
    sixteen = np.random.default_rng(0).integers(0, 65536, (4, 5, 3)).astype(np.float32) / 257
    for image in (photo, sixteen):
        np.testing.assert_allclose(Photograph.keep(image).rows(slice(0, len(image))), image, atol=1e-4)


@pytest.mark.parametrize(("asked", "size"), [({"scale": 1.5}, (180, 240)), ({"long_side": 200}, (150, 200))])
def test_a_photograph_is_enlarged_before_it_is_dreamt(photo, asked, size):
    image = dreamed(photo, octaves=1, iterations=1, **asked)
    assert image.shape == (*size, 3)


@pytest.mark.parametrize(
    "params",
    [{"brightness_lock": True}, {"color": "original"}, {"strength": 0.6}, {"scale": 1.2}, {"layers": "guide"}, {}],
    ids=str,
)
@pytest.mark.parametrize("stop", [(0, 2), (0, 3), (1, 1)])
def test_a_resumed_dream_is_the_undisturbed_one(photo, params, stop):
    class Stop:
        point = None

        def tile_done(self, mark):
            pass

        def iteration_done(self, point):
            if (point.octave, point.iteration) == stop:
                self.point = ResumePoint(
                    octave=point.octave,
                    iteration=point.iteration,
                    image=point.image.copy(),
                    tile_size=point.tile_size,
                )

    mask = np.linspace(0, 1, 50, dtype=np.float32)[None].repeat(40, 0)
    inputs = Inputs(mask=mask, guide=photograph(90, 70, seed=2) if params.get("layers") else None)
    params = {name: value for name, value in params.items() if name != "layers"}
    observer = Stop()
    whole = dreamed(photo, inputs=inputs, observer=observer, **params)
    resumed = dreamed(photo, inputs=inputs, resume=observer.point, **params)
    assert np.array_equal(whole, resumed)


def test_each_octaves_last_gradient_is_lent(photo):
    kept = {}
    dreamed(photo, keep_gradient=lambda octave, gradient: kept.update({octave: gradient.copy()}))
    assert {octave: gradient.shape for octave, gradient in kept.items()} == {0: (84, 112, 3), 1: (120, 160, 3)}


def test_a_negative_weight_pushes_a_feature_away(photo):
    def seen(image):
        return float(np.square(layer_activations(NETWORK, image, ["layer2"])[0]).mean())

    away = dreamed(photo, layers=(Target(layer="layer2", weight=-1),), octaves=1)
    assert seen(away) < seen(photo) < seen(dreamed(photo, octaves=1))
