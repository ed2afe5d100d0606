import dataclasses
import os
from types import SimpleNamespace

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.client import device_lib

from shared.errors import OutOfMemory
from shared.params import DreamParams
from tests.fakes.toy_networks import photograph
from tests.unit.worker.dream.ascent.test_ascent import an_ascent
from worker.dream.ascent import device
from worker.dream.ascent import host_ascent as on_host
from worker.dream.ascent.memory import (
    FIXED_BYTES,
    HALOS_PER_TILE,
    IMAGE_BYTES_PER_PX,
    LEAST_BYTES,
    batch_for,
    bytes_for_arrays,
    tile_size_for,
)
from worker.dream.engine import choose_tile_size
from worker.dream.gpu import gpu_ascent


def short_of_memory(ascent, largest_px):
    """Returns an ascent whose allocator fails for batches of more pixels than that."""

    def allocate(count, height, width):
        if count * height * width > largest_px:
            raise MemoryError("OOM when allocating tensor")  # TensorFlow makes a ResourceExhaustedError of it
        return np.float32(0)

    def compute(windows):
        zero = tf.numpy_function(allocate, tf.unstack(tf.shape(windows)[:3]), tf.float32)
        return ascent.gradient(windows + zero)

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


@pytest.fixture
def budget(monkeypatch):
    """Sets the memory budget, in GiB, and two cores."""
    monkeypatch.setattr(device, "cores", lambda: 2)
    yield lambda gib: device.set_memory_budget(int(gib * 2**30))
    device.set_memory_budget(None)


@pytest.mark.parametrize("gib", [1, 2, 3, 6, 12])
@pytest.mark.parametrize("megapixels", [1, 12, 50, 100])
def test_image_and_tiles_stay_within_the_budget_or_tiles_take_the_least_that_they_need(lite0, budget, gib, megapixels):
    budget(gib)
    side = int(np.sqrt(megapixels * 1e6))
    tile = tile_size_for(lite0, side, side, halo=48)
    at_once = batch_for(lite0, tile, side, side, 2)

    tiles_bytes = at_once * tile**2 * lite0.gradient_bytes_per_px
    arrays_bytes = min(IMAGE_BYTES_PER_PX * side**2, bytes_for_arrays())  # the rest of them is in files
    assert tiles_bytes <= max(LEAST_BYTES, gib * 2**30 - FIXED_BYTES - arrays_bytes)


def test_twelve_megapixels_have_the_tiles_of_three_on_an_ordinary_machine(lite0, budget):
    budget(4)

    tiles = [tile_size_for(lite0, height, width, halo=48) for height, width in ((1536, 2048), (3000, 4000))]

    assert tiles == [896, 896]
    assert batch_for(lite0, 896, 3000, 4000, 2) == 2


def test_where_memory_is_short_fewer_tiles_run_at_once_before_the_halo_gets_narrower(lite0, budget):
    budget(1.5)

    narrow, wide = (tile_size_for(lite0, 1000, 1000, halo=halo) for halo in (48, 136))

    assert batch_for(lite0, narrow, 1000, 1000, 2) == 2
    assert batch_for(lite0, wide, 1000, 1000, 2) == 1
    assert wide >= HALOS_PER_TILE * 136 > narrow


def test_a_container_has_nine_tenths_of_its_limit_and_a_machine_half_of_its_memory(tmp_path, monkeypatch):
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    budgets = []
    for limit in (f"{machine // 10}\n", "max\n", f"{2**63 - 4096}\n"):  # the last one is "none" in version 1
        (tmp_path / "memory.max").write_text(limit)
        monkeypatch.setattr(device, "CGROUP_LIMITS", (str(tmp_path / "none"), str(tmp_path / "memory.max")))
        device.container_limit.cache_clear()
        budgets.append(device.memory_budget())
    device.container_limit.cache_clear()

    assert budgets == [machine // 10 * 9 // 10, machine // 2, machine // 2]


def test_a_requested_tile_that_memory_cannot_hold_is_made_smaller(lite0, budget):
    params = DreamParams(tile_size=2048)
    budget(12)
    assert choose_tile_size(lite0, params, 1500, 2000) == 2048

    budget(1)
    smaller = choose_tile_size(lite0, params, 1500, 2000)

    assert smaller < 2048
    assert smaller**2 * lite0.gradient_bytes_per_px <= LEAST_BYTES
    assert choose_tile_size(lite0, DreamParams(tile_size=256), 1500, 2000) == 256


def test_free_gpu_memory_is_what_tensorflow_may_take_and_has_not(monkeypatch):
    devices = [
        SimpleNamespace(device_type="CPU", memory_limit=1),
        SimpleNamespace(device_type="GPU", memory_limit=79e9),
    ]
    monkeypatch.setattr(device, "gpu", lambda: "/device:GPU:0")
    monkeypatch.setattr(device_lib, "list_local_devices", lambda: devices)
    monkeypatch.setattr(tf.config.experimental, "get_memory_info", lambda name: {"current": 4e9, "peak": 5e9})
    device._gpu_memory_limit.cache_clear()

    assert device.free_gpu_bytes() == 75_000_000_000

    device._gpu_memory_limit.cache_clear()


@pytest.mark.parametrize("tile_size", [512, 2048, 4096])
def test_no_batch_on_a_large_gpu_has_tensors_of_more_values_than_its_kernels_count(toy, monkeypatch, tile_size):
    monkeypatch.setattr(device, "gpu", lambda: "/device:GPU:0")
    monkeypatch.setattr(device, "free_gpu_bytes", lambda: 80 * 2**30)

    batch = batch_for(toy, tile_size, 12000, 12000, threads=2)

    assert batch == 1 or batch * tile_size**2 * toy.gradient_bytes_per_px / 4 <= 2**31
