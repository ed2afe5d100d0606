"""Tests that the worker decodes what the API accepts: with the same size and orientation, as viewers show it."""

import io

import numpy as np
import pytest

from api.jobs.image_intake import read_input_image
from tests.zoo.everything import specimens
from worker import images

pytestmark = pytest.mark.slow

MAX_PIXELS = 10_000_000
ZOO = specimens()


def test_the_zoo_holds_at_least_300_files_and_no_name_twice():
    assert len({specimen.name for specimen in ZOO}) == len(ZOO) >= 300


@pytest.mark.parametrize("specimen", ZOO, ids=str)
def test_both_sides_read_a_file_alike(specimen):
    # when
    header = read_input_image(io.BytesIO(specimen.data), max_pixels=MAX_PIXELS)
    decoded = images.decode(io.BytesIO(specimen.data), max_pixels=MAX_PIXELS)

    # then
    assert decoded.image.shape == (header.height, header.width, 3)
    assert decoded.image.dtype == np.float32
    assert 0 <= decoded.image.min() <= decoded.image.max() <= 255
    assert specimen.note in " ".join(decoded.notes)
    if specimen.shown is not None:
        assert (header.width, header.height) == specimen.shown.size
        expected = np.asarray(specimen.shown.convert("RGB"), np.float32)
        assert np.abs(decoded.image - expected).mean() < specimen.tolerance
