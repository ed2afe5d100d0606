import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from worker.dream.tiles.tiling import choose_layout, halo_for

SIZES = st.integers(64, 3000)
STRIDES = st.sampled_from([1, 2, 4, 8, 16, 32])
TILE_SIZES = st.integers(128, 1024)
SIDE_BY_SIDE = st.booleans()


@settings(deadline=None)  # the first layout of a size is searched for, later ones are remembered
@given(height=SIZES, width=SIZES, tile_size=TILE_SIZES, stride=STRIDES, pair=SIDE_BY_SIDE, seed=st.integers(0, 99))
def test_cores_partition_the_octave(*, height, width, tile_size, stride, pair, seed):
    layout = choose_layout(height, width, tile_size=tile_size, stride=stride, halo=halo_for(stride), side_by_side=pair)
    tiles = layout.tiles(np.random.default_rng(seed))

    assert len(tiles) == layout.count
    assert covered_once(tiles, height, width)


@settings(deadline=None)  # the first layout of a size is searched for, later ones are remembered
@given(height=SIZES, width=SIZES, tile_size=TILE_SIZES, stride=STRIDES, pair=SIDE_BY_SIDE, seed=st.integers(0, 99))
def test_windows_share_one_shape_and_one_phase(*, height, width, tile_size, stride, pair, seed):
    layout = choose_layout(height, width, tile_size=tile_size, stride=stride, halo=halo_for(stride), side_by_side=pair)

    for tile in layout.tiles(np.random.default_rng(seed)):
        for (start, stop), edge, length in zip(tile.window, layout.window, (height, width), strict=True):
            assert stop - start == edge  # one shape, one set of primitives
            assert start % stride == 0
            assert edge % stride == length % stride  # "SAME" pads by the size
            assert 0 <= start < stop <= length


@settings(deadline=None)  # the first layout of a size is searched for, later ones are remembered
@given(height=SIZES, width=SIZES, tile_size=st.integers(256, 1024), stride=STRIDES, seed=st.integers(0, 99))
def test_windows_fit_the_tile_and_no_core_is_narrow(height, width, tile_size, stride, seed):
    layout = choose_layout(height, width, tile_size=tile_size, stride=stride, halo=halo_for(stride))

    assert layout.window[0] * layout.window[1] <= tile_size**2
    for tile in layout.tiles(np.random.default_rng(seed)):
        for (start, stop), length in zip(tile.core, (height, width), strict=True):
            assert stop - start >= min(length, tile_size // 4)


@settings(deadline=None)  # the first layout of a size is searched for, later ones are remembered
@given(
    height=SIZES,
    width=SIZES,
    tile_size=st.integers(512, 1024),
    stride=STRIDES,
    pair=SIDE_BY_SIDE,
    seed=st.integers(0, 99),
)
def test_every_core_has_its_halo_inside_the_octave(*, height, width, tile_size, stride, pair, seed):
    halo = min(halo_for(stride), tile_size // 6)
    layout = choose_layout(height, width, tile_size=tile_size, stride=stride, halo=halo, side_by_side=pair)

    for tile in layout.tiles(np.random.default_rng(seed)):
        for core, window, length in zip(tile.core, tile.window, (height, width), strict=True):
            assert window[0] <= max(0, core[0] - halo)
            assert window[1] >= min(length, core[1] + halo)


@pytest.mark.parametrize(("height", "width"), [(20000, 200), (200, 20000), (951, 1271), (64, 64), (129, 4001)])
@pytest.mark.parametrize("tile_size", [128, 400, 1024])
def test_odd_sizes_are_covered_too(height, width, tile_size):
    layout = choose_layout(height, width, tile_size=tile_size, stride=16, halo=32)

    assert covered_once(layout.tiles(np.random.default_rng(0)), height, width)


@pytest.mark.parametrize(("height", "width"), [(64, 1_875_000), (1_875_000, 64), (200_000, 600), (1, 120_000_000)])
@pytest.mark.parametrize("tile_size", [256, 896])
def test_a_long_and_thin_octave_is_cut_within_seconds(height, width, tile_size):
    begun = time.monotonic()

    layout = choose_layout(height, width, tile_size=tile_size, stride=16, halo=48, side_by_side=True)

    assert layout.count * layout.window[0] * layout.window[1] >= height * width
    assert time.monotonic() - begun < 15  # it took minutes and gigabytes


@pytest.mark.parametrize(("height", "width"), [(1, 490_000), (490_000, 1), (5, 60_000)])
def test_a_side_shorter_than_the_targets_grid_counts_as_one_step_of_it(height, width):
    layout = choose_layout(height, width, tile_size=896, stride=16, halo=48)

    assert max(16, layout.window[0]) * max(16, layout.window[1]) <= 896**2


def test_an_octave_that_fits_one_tile_is_not_cut():
    assert choose_layout(400, 640, tile_size=512, stride=16, halo=32).window == (400, 640)


@pytest.mark.parametrize(("height", "width", "count"), [(672, 896, 2), (896, 672, 2), (230, 306, 1)])
def test_for_two_cores_it_is_cut_in_two_where_that_costs_little(height, width, count):
    layout = choose_layout(height, width, tile_size=1024, stride=16, halo=40, side_by_side=True)

    assert layout.count == count
    assert count * layout.window[0] * layout.window[1] <= 1.2 * height * width


@pytest.mark.parametrize(("side_by_side", "count"), [(True, 4), (False, 3)])
def test_for_two_cores_an_octave_has_an_even_number_of_tiles(side_by_side, count):
    layout = choose_layout(1960, 2940, tile_size=1536, stride=16, halo=48, side_by_side=side_by_side)

    assert layout.count == count


def test_the_cuts_move_between_iterations():
    layout = choose_layout(960, 1280, tile_size=512, stride=16, halo=32)
    random = np.random.default_rng(0)

    places = {tile.core for _ in range(8) for tile in layout.tiles(random)}

    assert len(places) > layout.count * 4


def covered_once(tiles, height, width):
    times = np.zeros((height, width), np.uint8)
    for tile in tiles:
        (top, bottom), (left, right) = tile.core
        times[top:bottom, left:right] += 1
    return bool((times == 1).all())
