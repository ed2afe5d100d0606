import numpy as np
import pytest

from shared.networks.network_size import octave_sizes
from shared.params import DreamParams
from tests.benchmarks.engine import reference
from tests.fakes.toy_networks import photograph
from worker.dream.ascent.octaves import blend_into, carry_into, pyramid


def nothing():
    pass


def test_each_octave_is_the_next_larger_one_scaled():
    assert octave_sizes(960, 1280, octaves=5, scale=0.7, minimum_px=64) == [
        (230, 306),
        (329, 438),
        (470, 627),
        (672, 896),
        (960, 1280),
    ]


def test_octaves_under_the_networks_minimum_are_left_out():
    assert octave_sizes(100, 400, octaves=5, scale=0.7, minimum_px=64) == [(70, 280), (100, 400)]


def test_the_largest_octave_is_always_run():
    assert octave_sizes(64, 64, octaves=16, scale=0.9, minimum_px=64) == [(64, 64)]


@pytest.mark.parametrize("detail", ["blend", "carry"])
def test_pyramid_and_what_joins_octaves_are_the_references_with_a_stub_ascent(detail):
    params = DreamParams(octaves=4, octave_scale=0.6, blend=0.3, detail=detail)
    image = photograph(311, 407)

    def stub(picture, octave):
        return picture + 20 * np.sin(picture / (octave + 30))

    expected = reference.dream(image, params, 64, stub)
    sizes = octave_sizes(311, 407, octaves=4, scale=0.6, minimum_px=64)
    result = None
    for octave, picture in enumerate(pyramid(image.copy(), sizes, nothing)):
        if result is not None:
            if detail == "carry":
                carry_into(picture, result, nothing)
            else:
                blend_into(picture, result, params.blend, nothing)
        result = np.clip(stub(picture, octave), 0, 255)

    np.testing.assert_allclose(result, expected, atol=1e-3)


def test_where_nothing_was_dreamt_nothing_is_carried():
    image = photograph(150, 211)
    small, large = pyramid(image.copy(), [(105, 147), (150, 211)], nothing)

    carry_into(large, small, nothing)

    np.testing.assert_allclose(large, image, atol=1e-4)


@pytest.mark.parametrize("size", [(64, 64), (65, 1000)])
def test_the_input_is_the_largest_octave_itself_and_not_a_copy(size):
    image = photograph(*size)

    assert pyramid(image, [size], nothing)[-1] is image
