import numpy as np
import tensorflow as tf

from shared.params import DreamParams, Target
from tests.fakes.toy_networks import photograph, toy_network
from worker.dream.activations import layer_activations
from worker.dream.engine import dream
from worker.dream.guide import best_matches, guide_features, guided_gradient_of, guided_objective, shrunk
from worker.dream.inputs import Inputs

TARGETS = (Target(layer="layer2"),)


def test_the_match_is_the_notebooks_argmax_of_the_dot_products():
    random = np.random.default_rng(0)
    activation = random.normal(size=(2, 5, 4, 7)).astype(np.float32)
    vectors = random.normal(size=(9, 7)).astype(np.float32)

    found = best_matches(tf.constant(activation), tf.constant(vectors)).numpy()

    x = activation.reshape(-1, 7).T  # as in the notebook: channels first
    y = vectors.T
    expected = y[:, (x.T @ y).argmax(1)].T.reshape(activation.shape)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_the_gradient_of_the_activation_is_the_best_match():
    network, guide = toy_network(), photograph(96, 128, seed=3)
    (vectors,) = guide_features(network, TARGETS, guide)
    activation = tf.random.stateless_normal((1, 6, 8, 16), (1, 2))
    with tf.GradientTape() as tape:
        tape.watch(activation)
        value = guided_objective([activation], TARGETS, [vectors])
    gradient = tape.gradient(value, activation)
    np.testing.assert_allclose(gradient * (6 * 8), best_matches(activation, vectors), rtol=1e-4)


def test_a_large_guide_has_a_bounded_number_of_vectors_of_chosen_channels():
    targets = (Target(layer="layer0"), Target(layer="layer2", channels=(1, 5)))
    fine, coarse = guide_features(toy_network(), targets, photograph(900, 1200))
    assert len(fine) <= 1024
    assert coarse.shape[1] == 2


def test_a_small_guide_is_enlarged_to_what_the_network_accepts():
    (vectors,) = guide_features(toy_network(), TARGETS, photograph(10, 20))
    assert len(vectors) == 16 * 32


def test_a_guide_that_was_shrunk_to_be_held_is_the_same_guide():
    guide = photograph(900, 1200)
    small = shrunk(guide)
    assert small.shape == (384, 512, 3)
    whole, held = (guide_features(toy_network(), TARGETS, one)[0] for one in (guide, small))
    np.testing.assert_array_equal(whole, held)


def test_three_steps_bring_the_picture_nearer_to_the_guide():
    network, guide = toy_network(), photograph(96, 128, seed=3)
    features = guide_features(network, TARGETS, guide)

    def nearness(image):
        return float(guided_objective([layer_activations(network, image, ["layer2"])[0][None]], TARGETS, features))

    photo = photograph(96, 128)
    params = DreamParams(model="toy", layers=TARGETS, octaves=1, iterations=3, jitter=4, tile_size=256)
    dreamed, _ = dream(network, photo.copy(), params, inputs=Inputs(guide=guide))
    unguided, _ = dream(network, photo.copy(), params)

    assert nearness(dreamed) > nearness(photo)
    assert nearness(dreamed) > nearness(unguided)


def test_one_trace_serves_every_guide():
    network = toy_network()
    windows = tf.constant(photograph(64, 64)[None])
    first, second = (guided_gradient_of(network, TARGETS, photograph(80, 100, seed=s))(windows) for s in (1, 2))
    assert first.shape == windows.shape
    assert not np.allclose(first, second)
