"""Tests every way in which an attempt can end."""

import io
import json
from itertools import pairwise

import pytest
from PIL import Image as Pillow

from shared.errors import ModelUnavailable, NonFiniteGradient, StorageUnavailable, StoreUnavailable
from shared.jobs.job import InputImage, JobState
from shared.params import DreamParams
from shared.s3 import object_keys
from tests.fakes import documents
from tests.unit.worker.runner_world import World, a_png
from tests.zoo.exif import damaged
from tests.zoo.jpeg import phone, with_exif
from tests.zoo.png import chunk, with_chunks
from tests.zoo.specimen import PICTURE, encoded
from worker.attempts import checkpoints
from worker.attempts.attempt import CHECKPOINT_COST, CHECKPOINT_SHARE


@pytest.fixture
def world():
    return World()


def test_nothing_waits(world):
    assert not world.runner().run_next()


def test_a_job_is_dreamt_stored_and_committed(world):
    job = world.submit()
    assert world.runner().run_next()
    done = world.job(job.id)
    assert (done.state, done.attempt, done.params.tile_size) == (JobState.SUCCEEDED, 1, 256)
    assert world.pixels(done)[0, 0].tolist() == [102, 112, 122]
    assert world.outcome(job.id).claim == done.claim
    names = {key.rsplit("/", 1)[1] for key in world.storage.keys(object_keys.attempts(job.id))}
    assert names == {"result.png", "preview.jpg", "report.json"}
    assert list(world.storage.keys("pending/")) == []
    assert list(world.storage.keys(object_keys.checkpoints(job.id))) == []


def test_what_of_a_photograph_was_ignored_stands_in_the_report_and_its_transparency_stays(world):
    # given a photograph that is clear on the left, with damaged EXIF data
    clear = Pillow.new("RGBA", (96, 80), (100, 110, 120, 255))
    clear.paste((0, 0, 0, 0), (0, 0, 40, 80))
    photograph = with_chunks(encoded(clear, "PNG"), chunk(b"eXIf", b"damaged"))

    # when
    job = world.submit(photograph)
    world.runner().run_next()

    # then
    done = world.job(job.id)
    assert done.state is JobState.SUCCEEDED
    assert world.pixels(done)[0, 0, 3] == 0
    assert world.pixels(done)[0, -1].tolist() == [102, 112, 122, 255]
    report = json.loads(world.storage.get(object_keys.output(job.id, done.claim, "report.json")))
    assert report["warnings"] == ["The EXIF data can't be read; it is ignored."]


def test_what_of_a_guide_and_a_mask_was_ignored_stands_in_the_report_too(world):
    # given
    odd = with_chunks(a_png(), chunk(b"eXIf", b"damaged"))
    size = InputImage(format="png", width=96, height=80, size_bytes=len(odd))
    moving = size.model_copy(update={"notes": ("The file is animated; its first frame is used.",)})  # before stripping
    job = world.submit(input=moving, guide=size, mask=size)
    for key in (object_keys.guide(job.id), object_keys.mask(job.id)):
        world.storage.put(key, odd)

    # when
    world.runner().run_next()

    # then
    report = json.loads(world.storage.get(object_keys.output(job.id, world.job(job.id).claim, "report.json")))
    ignored = "The EXIF data can't be read; it is ignored."
    assert report["warnings"] == [f"The guide: {ignored}", f"The mask: {ignored}", *moving.notes]


@pytest.mark.parametrize(("form", "kept"), [("tiff", True), ("png", False)])
def test_a_photograph_that_some_browsers_cannot_show_is_kept_as_a_jpeg_too(world, form, kept):
    picture = encoded(Pillow.new("RGB", (96, 80), (100, 110, 120)), form.upper())
    job = world.submit(picture, input=InputImage(format=form, width=96, height=80, size_bytes=len(picture)))
    world.runner().run_next()

    done = world.job(job.id)
    shown = world.storage.get(object_keys.output(job.id, done.claim, "photograph.jpg"))
    assert done.state is JobState.SUCCEEDED
    assert (shown is not None) is kept
    if kept:
        with Pillow.open(io.BytesIO(shown)) as jpeg:
            assert (jpeg.format, jpeg.size) == ("JPEG", (96, 80))


def test_a_tile_that_memory_cannot_hold_is_made_smaller_and_the_report_says_so(world):
    # given a tile larger than the 256 pixels that the fake engine chooses
    job = world.submit(params=DreamParams(tile_size=1024, octaves=1, iterations=2))

    world.runner().run_next()

    done = world.job(job.id)
    report = json.loads(world.storage.get(object_keys.output(job.id, done.claim, "report.json")))
    assert report["warnings"] == ["Tiles of 1024 pixels do not fit this worker's memory; it used 256."]


PHONE = phone(encoded(PICTURE, "JPEG"), encoded(PICTURE, "JPEG"))


@pytest.mark.parametrize(
    ("part", "photograph"),
    [
        *((part, PHONE) for part in ("image", "guide", "mask")),
        ("image", PHONE[:-200]),
        ("image", with_exif(PHONE, {name: block for name, block, _ in damaged()}["odd-type"])),
        ("image", with_exif(PHONE, {name: block for name, block, _ in damaged()}["two-resolutions"])),
    ],
)
def test_the_first_picture_of_a_phones_file_is_dreamt_whatever_stands_around_it(world, part, photograph):
    found = InputImage(format="jpeg", width=48, height=32, size_bytes=len(photograph))
    job = world.submit(**({"content": photograph} if part == "image" else {part: found}))
    if part != "image":
        world.storage.put({"guide": object_keys.guide, "mask": object_keys.mask}[part](job.id), photograph)

    world.runner().run_next()

    assert world.job(job.id).state is JobState.SUCCEEDED


def test_a_job_whose_engine_raises_fails_with_a_sentence_and_the_next_one_runs(world):
    def explode(_):
        raise ZeroDivisionError

    bad, good = world.submit(), world.submit()
    runner = world.runner()
    world.dreamer.during = explode
    runner.run_next()
    world.dreamer.during = lambda _: None
    runner.run_next()
    failed = world.job(bad.id)
    assert (failed.state, failed.error.code) == (JobState.FAILED, "internal_error")
    assert "ZeroDivisionError" in failed.error.message
    assert world.job(good.id).state is JobState.SUCCEEDED


def test_an_error_with_a_name_keeps_it(world):
    def overflow(_):
        raise NonFiniteGradient

    job = world.submit()
    world.dreamer.during = overflow
    world.runner().run_next()
    assert world.outcome(job.id).error.code == "non_finite_gradient"


def test_a_damaged_photograph_fails_its_job(world):
    job = world.submit(a_png()[:-40])
    world.runner().run_next()
    assert world.job(job.id).error.code == "image_unreadable"


def test_a_cancel_is_heard_within_a_tile_batch(world):
    job = world.submit()
    runner = world.runner()

    def cancel(iteration):
        if iteration == 1:
            world.store.cancel(job.id, retry_count=0)
            runner.lease.confirm()

    world.dreamer.during = cancel
    runner.run_next()
    assert world.job(job.id).state is JobState.CANCELED
    assert world.outcome(job.id).state is JobState.CANCELED
    assert list(world.storage.keys(object_keys.attempts(job.id))) == []


def test_a_canceled_job_is_resumed_by_a_retry_where_it_was(world):
    # given
    job = world.submit()
    runner, seen = world.runner(), []

    def cancel(iteration):
        if iteration == 1:
            world.store.cancel(job.id, retry_count=0)
            runner.lease.confirm()

    world.dreamer.during = cancel
    runner.run_next()

    # when
    world.lifecycle.retry(world.job(job.id), now=world.clock.now())
    world.dreamer.during = seen.append
    world.runner().run_next()

    # then
    assert world.job(job.id).state is JobState.SUCCEEDED
    assert seen == [1]  # the first iteration, 0, is not repeated
    assert list(world.storage.keys(object_keys.checkpoints(job.id))) == []


def test_a_drain_hands_the_job_back_at_its_last_iteration_and_the_next_worker_goes_on(world):
    job = world.submit()

    def drain(iteration):
        if iteration == 1:
            world.drain.set()

    world.dreamer.during = drain
    world.runner().run_next()
    waiting = world.job(job.id)
    assert (waiting.state, waiting.deaths, world.notifier.wake_ups) == (JobState.QUEUED, 0, 1)
    assert not world.runner().run_next()

    world.drain.clear()
    world.dreamer.during = lambda _: None
    world.runner().run_next()
    assert world.dreamer.resumed_from == (0, 1)
    done = world.job(job.id)
    assert (done.state, done.attempt) == (JobState.SUCCEEDED, 2)
    assert world.pixels(done)[0, 0].tolist() == [102, 112, 122]


def test_a_drain_that_takes_too_long_hands_the_job_back_from_its_last_checkpoint(world):
    job = world.submit()
    runner = world.runner()

    def hang(iteration):
        if iteration == 1:
            runner.release_job()
            raise SystemExit  # as far as this job is concerned, the process has ended

    world.dreamer.during = hang
    with pytest.raises(SystemExit):
        runner.run_next()
    waiting = world.job(job.id)
    assert (waiting.state, waiting.deaths, world.notifier.wake_ups) == (JobState.QUEUED, 0, 1)


def test_dear_checkpoints_are_rarer(world, monkeypatch):
    # given iterations of 10 s, and a second for each checkpoint that the engine waits for
    world.dreamer.during = lambda iteration: world.clock.sleep(10)
    spool, spooled_at = checkpoints._spool, []

    def slow(point):
        spooled_at.append(world.clock.monotonic())
        world.clock.sleep(1)
        return spool(point)

    monkeypatch.setattr(checkpoints, "_spool", slow)
    job = world.submit(params=DreamParams(octaves=1, iterations=60))

    world.runner(checkpoint_interval_s=20).run_next()

    pauses = [later - earlier for earlier, later in pairwise(spooled_at)]
    assert world.job(job.id).state is JobState.SUCCEEDED
    assert min(pauses) >= CHECKPOINT_COST / CHECKPOINT_SHARE
    assert 3 <= len(spooled_at) <= 7


def test_a_corrupt_checkpoint_falls_back_to_the_one_before(world):
    job = world.submit()

    def drain(iteration):
        if iteration == 1:
            world.drain.set()

    world.dreamer.during = drain
    world.runner().run_next()
    (key,) = world.storage.keys(object_keys.checkpoints(job.id))
    whole = world.storage.objects[key]
    world.storage.objects[key.replace("0001-", "0002-")] = whole[:-1] + bytes([whole[-1] ^ 1])
    world.storage.objects[key.replace("0001-", "0003-")] = whole[:100]
    world.storage.objects[key.replace("0001-", "0004-")] = b"rubbish"
    world.drain.clear()
    world.dreamer.during = lambda _: None
    world.runner().run_next()
    assert world.dreamer.resumed_from == (0, 1)
    assert world.job(job.id).state is JobState.SUCCEEDED


def test_a_worker_that_lost_its_claim_stores_nothing(world):
    job = world.submit()
    runner = world.runner()

    def lose(iteration):
        if iteration == 1:
            world.clock.time += 60
            world.store.expire_lease(world.job(job.id), max_deaths=3)
            runner.lease.confirm()

    world.dreamer.during = lose
    runner.run_next()
    assert world.job(job.id).state is JobState.QUEUED
    assert world.outcome(job.id) is None
    assert list(world.storage.keys(object_keys.attempts(job.id))) == []


def test_a_finished_dream_is_kept_although_neither_redis_nor_s3_confirms_the_claim(world):
    # given a Redis that was wiped, and an S3 that fails when it is asked whether the job was deleted
    job = world.submit()
    size, asked = world.storage.size, []

    def failing_once(key):
        if key == object_keys.tombstone(job.id) and not asked:
            asked.append(key)
            raise StorageUnavailable
        return size(key)

    def wipe(_):
        world.store.wipe()
        world.storage.size = failing_once

    world.dreamer.during = wipe

    # when
    world.runner().run_next()

    # then
    assert asked
    assert world.outcome(job.id).state is JobState.SUCCEEDED


def test_a_winner_whom_the_caretaker_told_redis_about_keeps_its_pictures(world):
    # given a worker that commits while Redis is away, and a caretaker that then closes the job for it
    job = world.submit()
    runner = world.runner()
    finish, sleep = world.store.finish, world.clock.sleep

    def away(*_):
        raise StoreUnavailable

    def somebody_else_closes(seconds):
        sleep(seconds)
        world.store.finish = finish
        world.lifecycle.close(job.id, world.outcome(job.id))
        runner.lease.tick()

    world.store.finish, world.clock.sleep = away, somebody_else_closes

    runner.run_next()

    done = world.job(job.id)
    assert done.state is JobState.SUCCEEDED
    assert world.pixels(done)[0, 0].tolist() == [102, 112, 122]


def test_a_successor_adopts_an_outcome_instead_of_dreaming_again(world):
    job = world.submit()
    world.runner().run_next()
    done = world.job(job.id)
    # Redis is rolled back to before the end; S3 is not.
    world.store.wipe()
    world.store.create(job)
    world.dreamer.during = lambda _: pytest.fail("dreamed twice")
    world.runner().run_next()
    assert (world.job(job.id).state, world.job(job.id).claim) == (JobState.SUCCEEDED, done.claim)


def test_a_cancel_survives_a_wiped_redis(world):
    job = world.submit()
    documents.cancel_asked(world.storage, job)
    world.runner().run_next()
    assert world.job(job.id).state is JobState.CANCELED


def test_a_deleted_job_does_not_come_back(world):
    job = world.submit()
    documents.deleted(world.storage, job.id)
    world.runner().run_next()
    assert world.store.get(job.id) is None
    assert set(world.storage.objects) == {object_keys.tombstone(job.id)}


def test_a_dream_goes_on_while_s3_and_redis_are_unavailable(world):
    job = world.submit()

    def away(_):
        world.store.available = world.storage.available = False

    # Both come back while the outputs wait to be stored.
    sleep = world.clock.sleep

    def come_back(seconds):
        sleep(seconds)
        if world.clock.time > 1_800_000_005:
            world.store.available = world.storage.available = True

    world.clock.sleep = come_back
    world.dreamer.during = away
    world.runner().run_next()
    assert world.job(job.id).state is JobState.SUCCEEDED


def test_a_full_store_fails_the_job_when_told_so(world):
    job = world.submit()

    def fill(_):
        world.storage.full = True

    def room_for_the_outcome(key, body, **how):
        world.storage.full = world.storage.full and "outcome" not in key
        return put(key, body, **how)

    put, world.storage.put = world.storage.put, room_for_the_outcome
    world.dreamer.during = fill
    world.runner(storage_full="fail").run_next()
    assert world.job(job.id).error.code == "storage_full"


def test_a_model_that_went_missing_is_said_so(world):
    def gone(_):
        raise ModelUnavailable

    job = world.submit()
    world.dreamer.load = gone
    world.runner().run_next()
    assert world.job(job.id).error.code == "model_unavailable"


def test_a_deadline_ends_a_running_job(world):
    job = world.submit(deadline_at=1_800_000_010.0)
    runner = world.runner()

    def late(_):
        world.clock.time += 60
        runner.lease.tick()

    world.dreamer.during = late
    runner.run_next()
    assert world.job(job.id).error.code == "deadline_exceeded"


def test_a_hung_dream_kills_its_worker_and_a_slow_one_does_not(world):
    world.submit()
    runner = world.runner()

    def hang(iteration):
        runner.lease.tick()
        world.clock.time += 500 if iteration == 0 else 700
        runner.lease.tick()

    world.dreamer.during = hang
    runner.run_next()
    assert world.deaths == 1
