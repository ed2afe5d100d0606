"""Tests the GPU's path, on the CPU: the same code runs there."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

from shared.errors import NonFiniteGradient
from tests.fakes.toy_networks import brightness_network, photograph
from tests.unit.worker.dream.ascent.test_ascent import (
    STEP_TOLERANCE,
    RecordingObserver,
    a_known_gradients_params,
    an_ascent,
)
from worker.dream.ascent import device, memory
from worker.dream.ascent import host_ascent as on_host
from worker.dream.engine import dream
from worker.dream.gpu import device_steps, gpu_ascent
from worker.dream.guide import guided_gradient_of
from worker.dream.progress.observer import ResumePoint
from worker.dream.tiles.tiling import choose_layout


class Watching:
    """Counts what an ascent does, independently of its own counters; reads the image of the iterations `reads`."""

    def __init__(self, monkeypatch, reads=()):
        self.fetches = self.calls = self.batches = self.tiles = 0
        self._reads = reads
        to_numpy = ops._EagerTensorBase._numpy

        def counted_fetch(tensor):
            self.fetches += 1
            return to_numpy(tensor)

        monkeypatch.setattr(ops._EagerTensorBase, "_numpy", counted_fetch)
        for name in ("tile_step", "update_step"):
            self._count_calls_of(monkeypatch, name)

    def _count_calls_of(self, monkeypatch, name):
        make = getattr(device_steps, name)

        def counting(*args, **options):
            step = make(*args, **options)

            def call(*arguments):
                self.calls += 1
                self.batches += name == "tile_step"
                return step(*arguments)

            return call

        monkeypatch.setattr(device_steps, name, counting)

    def tile_done(self, progress):
        self.tiles += 1

    def iteration_done(self, point):
        if point.iteration in self._reads:
            assert point.image.shape == point.image.shape


def run(toy, params, monkeypatch, *, side, batch, reads=()):
    params = params.model_copy(update={"iterations": 4})
    image = photograph(side, side)  # fetches from TensorFlow too, and so does a trace
    gpu_ascent.ascend(an_ascent(toy, params, height=side, width=side, batch=batch), image.copy(), 0, 0)
    watching = Watching(monkeypatch, reads)
    ascent = an_ascent(toy, params, height=side, width=side, batch=batch, observer=watching)
    began = gpu_ascent.Traffic(**{name: getattr(gpu_ascent.traffic, name) for name in ("calls", "uploads", "fetches")})
    gpu_ascent.ascend(ascent, image, 0, 0)
    monkeypatch.undo()
    traffic = gpu_ascent.traffic
    assert traffic.fetches - began.fetches == watching.fetches
    assert traffic.calls - began.calls == watching.calls
    return watching, traffic.uploads - began.uploads


def test_transfers_and_calls_do_not_grow_with_the_number_of_tiles(toy, toy_params, monkeypatch):
    few, few_uploads = run(toy, toy_params, monkeypatch, side=200, batch=2)
    many, many_uploads = run(toy, toy_params, monkeypatch, side=700, batch=2)

    assert many.tiles > 5 * few.tiles
    assert few.fetches == many.fetches == 4 + 1  # the statistics of each iteration, and the image at the end
    assert few_uploads == many_uploads
    for counted in (few, many):
        assert counted.calls == counted.batches + 4  # one call per batch, and one update per iteration
        assert counted.batches == 4 * -(-counted.tiles // 4 // 2)


def test_the_image_is_fetched_only_for_an_observer_that_reads_it(toy, toy_params, monkeypatch):
    unread, _ = run(toy, toy_params, monkeypatch, side=200, batch=2)
    read, _ = run(toy, toy_params, monkeypatch, side=200, batch=2, reads=(2,))

    assert read.fetches == unread.fetches + 1


def test_no_new_size_is_traced_again(toy, toy_params):
    ascent = an_ascent(toy, toy_params, height=260, width=333)
    gpu_ascent.ascend(ascent, photograph(260, 333), 0, 0)
    counts = [steps.cache_info().misses for steps in (device_steps.tile_step, device_steps.update_step)]

    for height, width in ((100, 90), (200, 317)):
        ascent = an_ascent(toy, toy_params, height=height, width=width)
        gpu_ascent.ascend(ascent, photograph(height, width), 0, 0)

    assert [steps.cache_info().misses for steps in (device_steps.tile_step, device_steps.update_step)] == counts


@pytest.fixture
def by_bands(monkeypatch):
    monkeypatch.setattr(memory, "fits_device", lambda *_: False)


@pytest.mark.parametrize("normalize", ["std", "mean"])
@pytest.mark.parametrize("batch", [1, 3])
def test_bands_are_the_whole_images_steps(toy, toy_params, by_bands, normalize, batch):
    """The host path is compared with the reference in test_ascent.py."""
    params = toy_params.model_copy(update={"normalize": normalize})
    observers = RecordingObserver(), RecordingObserver()
    for observer, ascend in zip(observers, (gpu_ascent.ascend, on_host.ascend), strict=True):
        ascent = an_ascent(toy, params, height=401, width=333, batch=batch, observer=observer)
        ascend(ascent, photograph(401, 333), 0, 0)

    assert choose_layout(401, 333, tile_size=128, stride=ascent.stride, halo=ascent.halo).count > 6
    for bands, whole in zip(observers[0].images, observers[1].images, strict=True):
        assert np.abs(bands - whole).max() < STEP_TOLERANCE


def test_a_gradient_that_is_not_finite_is_refused_in_a_band(by_bands):
    image = photograph(80, 80)
    image[3, 4] = np.inf

    with pytest.raises(NonFiniteGradient):
        gpu_ascent.ascend(an_ascent(brightness_network(), a_known_gradients_params(), height=80, width=80), image, 0, 0)


def test_the_image_is_intact_after_a_gradient_that_is_not_finite():
    image = photograph(80, 80)
    image[3, 4] = np.inf
    before = image.copy()

    with pytest.raises(NonFiniteGradient):
        gpu_ascent.ascend(an_ascent(brightness_network(), a_known_gradients_params(), height=80, width=80), image, 0, 0)

    np.testing.assert_array_equal(image, before)


class StopsInTheSecondIteration:
    def __init__(self):
        self.point = None

    def tile_done(self, progress):
        if self.point is not None:
            raise KeyboardInterrupt

    def iteration_done(self, point):
        self.point = point


def test_a_point_can_be_read_after_the_engine_was_stopped(toy, toy_params):
    stopped, whole = StopsInTheSecondIteration(), RecordingObserver()
    with pytest.raises(KeyboardInterrupt):
        gpu_ascent.ascend(
            an_ascent(toy, toy_params, height=260, width=333, observer=stopped), photograph(260, 333), 0, 0
        )
    gpu_ascent.ascend(an_ascent(toy, toy_params, height=260, width=333, observer=whole), photograph(260, 333), 0, 0)

    np.testing.assert_array_equal(stopped.point.image, whole.images[0])


@pytest.mark.parametrize("streamed", [False, True])
def test_the_same_run_gives_the_same_bytes(toy, toy_params, monkeypatch, streamed):
    monkeypatch.setattr(memory, "fits_device", lambda *_: not streamed)
    images = [photograph(260, 333) for _ in range(2)]
    for image in images:
        gpu_ascent.ascend(an_ascent(toy, toy_params, height=260, width=333), image, 0, 0)

    assert images[0].tobytes() == images[1].tobytes()


def test_masked_pixels_stay_as_they_are(toy, toy_params):
    image, mask = photograph(260, 333), np.zeros((260, 333), np.float32)
    mask[:, 100:] = 1
    before = image.copy()
    ascent = an_ascent(toy, toy_params, height=260, width=333, mask=mask)

    gpu_ascent.ascend(ascent, image, 0, 0)

    np.testing.assert_array_equal(image[:, :100], before[:, :100])
    assert np.abs(image[:, 100:] - before[:, 100:]).mean() > 1


def test_the_last_gradient_of_an_octave_is_kept_on_request(toy, toy_params):
    kept = []
    ascent = an_ascent(
        toy, toy_params, height=100, width=90, keep_gradient=lambda octave, g: kept.append((octave, g.copy()))
    )

    gpu_ascent.ascend(ascent, photograph(100, 90), 0, 0)

    assert [(octave, g.shape) for octave, g in kept] == [(0, (100, 90, 3))]
    assert isinstance(kept[0][1], np.ndarray)
    assert not tf.is_tensor(kept[0][1])


def test_gpus_multiply_in_float32_unless_mixed_precision_is_asked_for(monkeypatch):
    try:
        device.prepare()
        assert not tf.config.experimental.tensor_float_32_execution_enabled()
        assert "precision" not in device.versions()

        device.prepare(mixed_precision=True)
        monkeypatch.setattr(device, "gpu", lambda: "/device:GPU:0")
        assert tf.config.experimental.tensor_float_32_execution_enabled()
        assert device.versions()["precision"] == "TensorFloat-32"
    finally:
        device.prepare()


def test_an_image_is_streamed_where_the_device_can_not_hold_it_besides_its_tiles(monkeypatch):
    monkeypatch.setattr(device, "gpu", lambda: "/device:GPU:0")
    monkeypatch.setattr(device, "free_gpu_bytes", lambda: 24 * 2**30)

    assert memory.fits_device(5000, 8000)
    assert not memory.fits_device(10_000, 10_000)


def test_a_guided_dream_is_the_host_paths_too(toy, toy_params):
    gradient = guided_gradient_of(toy, toy_params.layers, photograph(150, 130, seed=3))
    images = [photograph(260, 333) for _ in range(2)]
    for image, ascend in zip(images, (gpu_ascent.ascend, on_host.ascend), strict=True):
        params = toy_params.model_copy(update={"iterations": 1})
        ascent = dataclasses.replace(an_ascent(toy, params, height=260, width=333), gradient=gradient)
        ascend(ascent, image, 0, 0)

    assert np.abs(images[0] - images[1]).max() < STEP_TOLERANCE


def test_a_whole_dream_on_the_device_resumes_to_the_same_bytes(toy, toy_params, monkeypatch):
    """`device.gpu` is the CPU here: the engine then takes the GPU's path, from choosing tiles to the report."""
    monkeypatch.setattr(device, "gpu", lambda: "/device:CPU:0")
    monkeypatch.setattr(device, "free_gpu_bytes", lambda: 2**30)
    monkeypatch.setattr(device, "describe", lambda: "CPU as GPU")
    whole, points = dream(toy, photograph(200, 240), toy_params)[0], RecordingPoints()
    dream(toy, photograph(200, 240), toy_params, observer=points)

    middle = points.kept[len(points.kept) // 2]
    resumed, report = dream(toy, photograph(200, 240), toy_params, resume=middle)

    assert resumed.tobytes() == whole.tobytes()
    assert report.device == "CPU as GPU"


class RecordingPoints:
    """Keeps a copy of every point, as checkpoints do."""

    def __init__(self):
        self.kept = []

    def tile_done(self, progress):
        pass

    def iteration_done(self, point):
        image = point.image.copy()
        self.kept.append(
            ResumePoint(octave=point.octave, iteration=point.iteration, image=image, tile_size=point.tile_size)
        )
