import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from shared.errors import OutOfMemory
from tests.fakes.toy_networks import photograph
from tests.unit.worker.dream.ascent.test_ascent import an_ascent
from worker.dream.ascent import gpu_ascent
from worker.dream.ascent import host_ascent as on_host
from worker.dream.ascent.memory import batch_for, tile_size_for


def short_of_memory(ascent, largest_px):
    """Returns an ascent whose allocator fails for batches of more pixels than that."""

    def compute(windows):
        if windows.shape[0] * windows.shape[1] * windows.shape[2] > largest_px:
            raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")
        return ascent.gradient(windows)

    return dataclasses.replace(ascent, gradient=compute)


@pytest.mark.parametrize("ascend", [on_host.ascend, gpu_ascent.ascend], ids=["host", "device"])
def test_out_of_memory_halves_the_batch_then_the_tile_and_goes_on(toy, toy_params, ascend):
    params = toy_params.model_copy(update={"tile_size": 512})
    ascent = short_of_memory(an_ascent(toy, params, height=500, width=700, batch=4), 256 * 256)
    image = photograph(500, 700)

    statistics = ascend(ascent, image, 0, 0)

    changes = [(change.batch, change.tile_size) for change in ascent.plan.changes]
    assert changes == [(2, 512), (1, 512), (1, 256)]
    assert all("OOM" in change.why for change in ascent.plan.changes)
    assert len(statistics) == 3


@pytest.mark.parametrize("ascend", [on_host.ascend, gpu_ascent.ascend], ids=["host", "device"])
def test_a_smaller_batch_alone_changes_no_pixel(toy, toy_params, ascend):
    images = [photograph(260, 333), photograph(260, 333)]
    plenty = an_ascent(toy, toy_params, height=260, width=333, batch=1)
    ascend(plenty, images[0], 0, 0)

    scarce = short_of_memory(an_ascent(toy, toy_params, height=260, width=333, batch=4), 128 * 128)
    ascend(scarce, images[1], 0, 0)

    np.testing.assert_allclose(images[0], images[1], atol=1e-3)


def test_where_not_even_the_smallest_tile_fits_the_dream_ends(toy, toy_params):
    ascent = short_of_memory(an_ascent(toy, toy_params, height=260, width=333), 100)

    with pytest.raises(OutOfMemory):
        on_host.ascend(ascent, photograph(260, 333), 0, 0)


def test_tiles_do_not_outgrow_what_a_picture_may_take(lite0):
    for megapixels in (12, 50, 100):
        side = int(np.sqrt(megapixels * 1e6))
        tile = tile_size_for(lite0, side, side)
        at_once = batch_for(lite0, tile, side, side, 2)
        assert 256 <= tile <= 1024
        assert 24 * side**2 + at_once * tile**2 * lite0.gradient_bytes_per_px <= 48 * side**2
