import numpy as np
import tensorflow as tf

from shared.params import Target
from tests.benchmarks.engine import reference
from tests.fakes.toy_networks import photograph
from worker.dream.ascent import gradient
from worker.dream.ascent.gradient import gradient_of


def test_it_is_the_objectives_gradient_for_several_targets_and_chosen_channels(toy):
    targets = (Target(layer="layer1", channels=(0, 3), weight=0.5), Target(layer="layer2", weight=-2))
    window = photograph(72, 88)

    computed = gradient_of(toy, targets)(tf.constant(window[None])).numpy()[0]

    expected = reference.gradient_of(toy, targets)(window)
    np.testing.assert_allclose(computed, expected, atol=1e-4 * np.abs(expected).max())


def test_on_lite0_it_is_the_tapes_but_for_a_few_switched_units(lite0, lite0_params):
    """The two may round differently, and a ReLU whose input is almost zero then switches. A change of every pixel by
    1e-5 gray levels changes this gradient by up to 0.7 % that way; a wrong objective changes it by far more than 5 %.
    """
    window = photograph(224, 256)

    computed = gradient_of(lite0, lite0_params.layers)(tf.constant(window[None])).numpy()[0]

    expected = reference.gradient_of(lite0, lite0_params.layers)(window)
    assert np.linalg.norm(computed - expected) < 0.05 * np.linalg.norm(expected)


def test_a_batch_changes_no_windows_gradient(toy):
    compute = gradient_of(toy, (Target(layer="layer2"),))
    windows = np.stack([photograph(64, 80, seed=seed) for seed in range(3)])

    together = compute(tf.constant(windows)).numpy()

    for window, expected in zip(windows, together, strict=True):
        alone = compute(tf.constant(window[None])).numpy()[0]
        np.testing.assert_allclose(alone, expected, atol=1e-4 * np.abs(expected).max())


def test_one_trace_serves_every_job_and_every_window_shape(toy):
    targets = (Target(layer="layer0", weight=3.0),)
    before = gradient.traces()

    for size in (64, 96, 130):
        gradient_of(toy, targets)(tf.zeros([1, size, size, 3]))

    assert gradient.traces() == before + 1
