import numpy as np
import pytest

from tests.benchmarks.engine import reference
from worker.dream.ascent.sampling import read_window, reflect_uncovered, write_core

SHIFTS = [(0, 0), (3, -5), (-16, 16), (20, 0), (0, -30)]


@pytest.fixture
def picture():
    return np.random.default_rng(0).random((41, 63, 3), dtype=np.float32)


@pytest.mark.parametrize("shift", SHIFTS)
def test_a_window_is_a_piece_of_the_moved_picture(picture, shift):
    moved = reference.move(picture, shift)

    for window in [((0, 41), (0, 63)), ((0, 10), (40, 63)), ((8, 30), (2, 9)), ((38, 41), (0, 5))]:
        (top, bottom), (left, right) = window
        np.testing.assert_array_equal(read_window(picture, window, shift), moved[top:bottom, left:right])


@pytest.mark.parametrize("shift", SHIFTS)
def test_cores_move_back_and_the_margin_is_reflected(picture, shift):
    gradient = np.full_like(picture, np.nan)

    for rows in [(0, 17), (17, 41)]:
        for columns in [(0, 30), (30, 63)]:
            write_core(gradient, picture[slice(*rows), slice(*columns)], (rows, columns), shift, scale=1.0)
    reflect_uncovered(gradient, shift)

    np.testing.assert_array_equal(gradient, reference.move(picture, (-shift[0], -shift[1])))


def test_a_core_that_has_moved_out_of_the_picture_is_dropped(picture):
    gradient = picture.copy()

    write_core(gradient, picture[:4] * 0, ((0, 4), (0, 63)), (-20, 0), scale=1.0)
    write_core(gradient, picture[37:] * 0, ((37, 41), (0, 63)), (20, 0), scale=1.0)

    np.testing.assert_array_equal(gradient, picture)
