import numpy as np

from worker.dream.ascent import rng


def test_an_iteration_is_drawn_without_those_before_it():
    assert rng.generator(3, 2, 5).random() == rng.generator(3, 2, 5).random()


def test_seed_octave_and_iteration_all_count():
    draws = {rng.generator(*key).random() for key in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**63 - 1, 0, 0)]}

    assert len(draws) == 5


def test_the_shift_stays_within_the_jitter_and_half_of_the_picture():
    shifts = [rng.shift(rng.generator(0, 0, i), 40, 64, 500) for i in range(2000)]

    y, x = np.array(shifts).T
    assert (y.min(), y.max()) == (-32, 32)
    assert (x.min(), x.max()) == (-40, 40)


def test_no_jitter_no_shift():
    assert rng.shift(rng.generator(0, 0, 0), 0, 64, 64) == (0, 0)
