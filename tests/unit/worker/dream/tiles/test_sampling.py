from itertools import pairwise, product

import numpy as np
import pytest

from tests.benchmarks.engine import reference
from worker.dream.tiles.sampling import Coverage, read_window, write_core
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

    np.testing.assert_array_equal(gradient, reference.move(picture, (-shift[0], -shift[1])))


def test_a_core_that_has_moved_out_of_the_picture_is_dropped(picture):
    gradient = picture.copy()

    write_core(gradient, picture[:4] * 0, ((0, 4), (0, 63)), (-20, 0), scale=1.0)
    write_core(gradient, picture[37:] * 0, ((37, 41), (0, 63)), (20, 0), scale=1.0)

    np.testing.assert_array_equal(gradient, picture)


@pytest.mark.parametrize("shift", SHIFTS)
@pytest.mark.parametrize("cuts", [[0, 41], [0, 17, 41], [0, 10, 21, 32, 41], [0, 4, 8, 33, 37, 41]])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_part_is_complete_once_nothing_changes_it(picture, shift, cuts, seed):
    tiles = [Tile(core=core, window=core) for core in product(pairwise(cuts), [(0, 8), (8, 30), (30, 63)])]
    gradient, taken = np.full_like(picture, np.nan), np.full_like(picture, np.nan)
    coverage = Coverage(tiles, shift, gradient)
    parts = list(product(pairwise([0, 5, 21, 41]), pairwise([0, 20, 40, 63])))

    for tile in np.random.default_rng(seed).permutation(np.array(tiles, object)):
        write_core(gradient, picture[tuple(slice(*span) for span in tile.core)], tile.core, shift, scale=1.0)
        coverage.add(tile)
        for part in [part for part in parts if coverage.is_complete(part)]:
            place = tuple(slice(*span) for span in part)
            taken[place] = gradient[place]
            gradient[place] = np.nan  # as if it were blurred at once
            parts.remove(part)

    assert not parts
    np.testing.assert_array_equal(taken, reference.move(picture, (-shift[0], -shift[1])))


def test_parts_are_complete_before_the_last_tile(picture):
    tiles = [Tile(core=core, window=core) for core in product([(0, 20), (20, 41)], [(0, 30), (30, 63)])]
    coverage = Coverage(tiles, (3, -5), picture)

    for tile in tiles[:3]:
        coverage.add(tile)

    assert coverage.is_complete(((0, 23), (0, 63)))
    assert coverage.is_complete(((0, 41), (0, 25)))
    assert not coverage.is_complete(((0, 41), (0, 26)))
    assert not coverage.is_complete(((23, 24), (62, 63)))
