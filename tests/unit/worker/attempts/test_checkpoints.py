"""Tests checkpoints: exact floats, one checksum, and uploads that never block the engine."""

import threading

import numpy as np
import pytest

from shared.errors import StorageUnavailable
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from tests.fakes.job_factory import a_job
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from worker.attempts import checkpoints
from worker.attempts.checkpoints import Checkpoints
from worker.dream.progress.observer import ResumePoint


class World:
    def __init__(self) -> None:
        self.store, self.storage = MemoryJobStore(), MemoryObjectStorage()
        self.store.create(a_job())
        self.job = self.store.claim("w", ["efficientnet-lite0"], lease_s=10)

    def checkpoints(self) -> Checkpoints:
        return Checkpoints(
            self.job, storage=self.storage, lifecycle=JobLifecycle(self.storage, self.store, MemoryNotifier())
        )

    def latest(self) -> ResumePoint | None:
        return self.checkpoints().latest(self.storage.keys(object_keys.job(self.job.id)))

    def kept(self) -> list[str]:
        return [key.rsplit("/", 1)[1][:7] for key in self.storage.keys(object_keys.checkpoints(self.job.id))]


@pytest.fixture
def world():
    return World()


def a_point(iteration=1, octave=0):
    image = np.random.default_rng(iteration).normal(128, 300, (7, 5, 3)).astype(np.float32)  # also beyond 0..255
    return ResumePoint(octave=octave, iteration=iteration, image=image, tile_size=256)


def test_what_is_saved_comes_back_to_the_last_bit(world):
    point = a_point()
    world.checkpoints().save(point)
    found = world.latest()
    assert (found.octave, found.iteration, found.tile_size) == (0, 1, 256)
    assert found.image.tobytes() == point.image.tobytes()


def test_there_may_be_none(world):
    assert world.latest() is None


def test_the_dream_may_change_its_picture_while_the_checkpoint_is_on_its_way(world):
    gate = threading.Event()
    put, world.storage.put = world.storage.put, lambda *args, **how: gate.wait() and put(*args, **how)
    point = a_point()
    before = point.image.copy()
    saving = world.checkpoints()
    assert saving.save_in_background(point)
    point.image[:] = 0
    assert not saving.save_in_background(a_point(2))  # one at a time
    gate.set()
    saving.finish_uploads()
    assert np.array_equal(world.latest().image, before)


def test_two_are_kept_and_each_forgives_the_deaths_before_it(world):
    saving = world.checkpoints()
    for octave, iteration in ((0, 5), (0, 10), (1, 5), (1, 10)):
        saving.save(a_point(iteration, octave))
    assert world.kept() == ["01-0005", "01-0010"]
    assert world.store.get(world.job.id).deaths == 0


def test_those_of_the_attempt_before_give_way_to_newer_ones(world):
    world.checkpoints().save(a_point(1))
    world.checkpoints().save(a_point(2))
    resumed = world.checkpoints()
    resumed.latest(world.storage.keys(object_keys.job(world.job.id)))
    resumed.save(a_point(3))
    assert world.kept() == ["00-0002", "00-0003"]


@pytest.mark.parametrize("place", range(0, 500, 7))
def test_a_flipped_bit_anywhere_falls_back_to_the_one_before(world, place):
    # given two checkpoints, the later one damaged: in its header, its pixels or its checksum
    saving = world.checkpoints()
    saving.save(a_point(1))
    saving.save(a_point(2))
    (key,) = [key for key in world.storage.objects if "00-0002" in key]
    whole = bytearray(world.storage.objects[key])
    whole[place % len(whole)] ^= 1
    world.storage.objects[key] = bytes(whole)

    found = world.latest()

    assert found.iteration == 1


@pytest.mark.parametrize("cut", [0, 1, 20, 100, -33, -1])
def test_one_that_was_cut_off_falls_back_to_the_one_before(world, cut):
    saving = world.checkpoints()
    saving.save(a_point(1))
    saving.save(a_point(2))
    (key,) = [key for key in world.storage.objects if "00-0002" in key]
    world.storage.objects[key] = world.storage.objects[key][:cut]
    assert world.latest().iteration == 1


def test_a_header_that_asks_for_more_memory_than_there_is_asks_in_vain(world):
    world.checkpoints().save(a_point())
    (key,) = [key for key in world.storage.objects if "checkpoints" in key]
    world.storage.objects[key] = world.storage.objects[key].replace(b'"height":7', b'"height":9999999999999')
    assert world.latest() is None


def test_an_upload_waits_for_s3_to_come_back(world, monkeypatch):
    tried = threading.Event()
    put = world.storage.put

    def away_at_first(*args, **how):
        if not tried.is_set():
            tried.set()
            raise StorageUnavailable
        return put(*args, **how)

    world.storage.put = away_at_first
    monkeypatch.setattr(checkpoints, "RETRY_INTERVAL_S", 0.001)
    saving = world.checkpoints()
    saving.save_in_background(a_point())
    saving._uploads.wait()
    assert world.kept() == ["00-0001"]


def test_who_has_to_leave_does_not_wait_for_s3(world):
    world.storage.available = False
    saving = world.checkpoints()
    saving.save_in_background(a_point())
    saving.finish_uploads()
    world.storage.available = True
    assert world.kept() == []


def test_an_attempt_that_lost_its_claim_forgives_no_death(world):
    saving = world.checkpoints()
    world.store.release(world.job)
    saving.save_in_background(a_point())
    saving.finish_uploads()
    assert world.store.get(world.job.id).deaths == 0
    assert world.kept() == ["00-0001"]  # as good as any: the same pixels
