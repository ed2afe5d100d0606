from itertools import pairwise

import numpy as np
import pytest

from tests.benchmarks.engine import reference
from worker.dream.tiles.sampling import CompleteRows, read_window, reflect_uncovered, write_core
from worker.dream.tiles.tiling import Tile

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


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("cuts", [[0, 41], [0, 17, 41], [0, 10, 21, 32, 41], [0, 4, 8, 33, 37, 41]])
@pytest.mark.parametrize("seed", [0, 1])
def test_rows_are_counted_once_nothing_changes_them(picture, shift, cuts, seed):
    spans = [(rows, columns) for rows in pairwise(cuts) for columns in [(0, 30), (30, 63)]]
    tiles = [Tile(core=span, window=span) for span in spans]
    gradient, taken = np.full_like(picture, np.nan), np.full_like(picture, np.nan)
    rows = CompleteRows(gradient, tiles, shift)

    for tile in np.random.default_rng(seed).permutation(np.array(tiles, object)):
        write_core(gradient, picture[tuple(slice(*span) for span in tile.core)], tile.core, shift, scale=1.0)
        before = rows.count
        rows.written(tile)
        taken[before : rows.count] = gradient[before : rows.count]
        gradient[: rows.count] = np.nan  # as if they were blurred at once

    assert rows.count == 41
    np.testing.assert_array_equal(taken, reference.move(picture, (-shift[0], -shift[1])))


def test_rows_are_counted_before_the_last_tile(picture):
    tiles = [Tile(core=(rows, (0, 63)), window=(rows, (0, 63))) for rows in [(0, 20), (20, 41)]]
    rows = CompleteRows(picture, tiles, (3, 0))

    rows.written(tiles[0])

    assert rows.count == 23
