"""Tests arrays in files, and that dreams whose arrays are in files are the same to the byte."""

import gc
import resource

import numpy as np
import pytest

from shared.errors import LocalDiskError
from shared.params import DreamParams, Target
from tests.benchmarks.engine.__main__ import in_a_process
from tests.fakes.toy_networks import photograph, toy_network
from worker.dream import resize, scratch
from worker.dream.ascent import device, memory
from worker.dream.engine import dream
from worker.dream.inputs import Inputs
from worker.dream.progress.observer import ResumePoint

NETWORK = toy_network()
MIB = 2**20


@pytest.fixture
def room(monkeypatch):
    """Sets how many bytes arrays may take in memory, beyond those that exist."""
    gc.collect()
    scratch.empty((1,))  # counts what is gone
    taken_bytes = scratch._in_memory_bytes
    return lambda size_bytes: monkeypatch.setattr(memory, "bytes_for_arrays", lambda: taken_bytes + size_bytes)


def maps():
    return len(scratch._maps)


def test_arrays_are_in_files_once_they_would_exceed_their_share_of_memory(room):
    room(3 * MIB)
    before = maps()
    first = scratch.empty((2 * MIB,), np.uint8)
    second = scratch.empty((MIB, 2), np.uint8)
    assert maps() == before + 1

    del first
    third = scratch.empty((2 * MIB,), np.uint8)
    assert maps() == before + 1
    del second
    gc.collect()

    assert maps() == before
    assert third.size == 2 * MIB


def test_an_array_in_a_file_keeps_its_values_when_its_pages_are_released(room):
    room(0)
    array = scratch.empty((500, 700, 3))
    array[:] = np.arange(array.size).reshape(array.shape)
    scratch.release()
    array[3:5] += 1
    scratch.release()
    expected = np.arange(array.size, dtype=np.float32).reshape(array.shape)
    expected[3:5] += 1
    assert np.array_equal(array, expected)


def test_a_disk_without_room_is_an_error_that_says_how_much_is_needed(room):
    room(0)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, limits[1]))
    try:
        with pytest.raises(LocalDiskError, match="8,000,000 bytes are needed") as raised:
            scratch.empty((1000, 1000, 2))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "TMPDIR" in str(raised.value)
    assert raised.value.retryable


@pytest.mark.slow
def test_an_array_may_be_collected_while_another_is_counted(monkeypatch):
    # given arrays in cycles, which the collector frees when it runs: here, inside of the next reservation
    def collect():
        gc.collect()
        return 10**9

    monkeypatch.setattr(memory, "bytes_for_arrays", collect)
    for _ in range(3):
        cycle = [scratch.empty((10,))]
        cycle.append(cycle)
        del cycle

    before = scratch._in_memory_bytes
    scratch.empty((10,))
    gc.collect()
    scratch.empty((1,))

    assert scratch._in_memory_bytes <= before + 44


VARIANTS = [
    {},
    {"detail": "carry", "smooth": False, "color": "free"},
    {"brightness_lock": True, "octave_scale": 0.8},
    {"color": "original", "strength": 0.7},
    {"mask": True},
    {"scale": 1.6},
]


def dreamed(*, mask=False, resume=None, observer=None, **params):
    chosen = {"model": "toy", "layers": (Target(layer="layer2"),), "octaves": 3, "iterations": 2, "jitter": 20}
    inputs = Inputs(mask=np.linspace(0, 1, 70 * 90, dtype=np.float32).reshape(70, 90)) if mask else Inputs()
    resolved = DreamParams(**chosen | {"tile_size": 128} | params)
    image = scratch.empty((211, 307, 3))
    image[:] = photograph(211, 307)
    return dream(NETWORK, image, resolved, inputs=inputs, resume=resume, observer=observer)[0]


@pytest.mark.slow
@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_a_dream_in_files_is_the_one_in_memory_to_the_byte(room, monkeypatch, params):
    for module, name in ((scratch, "BAND_PX"), (resize, "_PIECE_PX")):
        monkeypatch.setattr(module, name, 9000)  # several bands, of a picture as small as this
    in_memory = dreamed(**params)

    room(0)
    in_files = dreamed(**params)

    assert in_files.base is not None  # a view of a map
    assert np.array_equal(in_files, in_memory)


@pytest.mark.parametrize("params", VARIANTS, ids=str)
def test_bands_leave_no_seam(monkeypatch, params):
    whole = dreamed(iterations=1, **params)

    for module, name in ((scratch, "BAND_PX"), (resize, "_PIECE_PX")):
        monkeypatch.setattr(module, name, 9000)
    by_bands = dreamed(iterations=1, **params)

    np.testing.assert_allclose(by_bands, whole, atol=0.02)


def test_a_dream_in_files_resumes_to_the_same_bytes(room):
    undisturbed = dreamed()
    points = []

    class Observer:
        def tile_done(self, progress):
            pass

        def iteration_done(self, point):
            image = scratch.empty(point.image.shape)
            image[:] = point.image
            at = {"octave": point.octave, "iteration": point.iteration, "tile_size": point.tile_size}
            points.append(ResumePoint(image=image, **at))

    room(0)
    dreamed(observer=Observer())

    assert np.array_equal(dreamed(resume=points[2]), undisturbed)


@pytest.mark.slow
def test_memory_stays_within_the_budget_when_the_image_does_not_fit():
    found = in_a_process("peak", "--size", "4000", "6000", "--octaves", "2", "--budget-gib", "1.25")
    assert found["of_budget"] <= 1.05


def test_half_of_the_memory_is_left_to_tiles():
    device.set_memory_budget(3 * 2**30)
    try:
        assert (
            memory.bytes_for_tiles(40_000, 25_000) == memory.bytes_for_arrays() == (3 * 2**30 - memory.FIXED_BYTES) // 2
        )
    finally:
        device.set_memory_budget(None)
