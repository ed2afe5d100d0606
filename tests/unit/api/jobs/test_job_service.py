import io

import pytest

from api.jobs.job_service import NewDeadline
from api.jobs.submission import Sent, Submission
from api.schemas.requests import JobOptions
from shared.errors import (
    ImageTooLarge,
    InvalidField,
    JobNotFound,
    NotReady,
    ResultExpired,
    StorageFull,
    StorageUnavailable,
    StoreUnavailable,
    UnsupportedImage,
    WrongState,
)
from shared.interfaces import WorkerInfo
from shared.jobs.job import JobState, Manifest, Pending
from shared.params import DreamParams, Target
from shared.s3 import object_keys
from tests.fakes.pictures import a_picture


@pytest.fixture
def submit(world):
    def send(*, owner="ann", params=None, data=None, **options):
        image = io.BytesIO(a_picture() if data is None else data)
        submission = Submission(options=JobOptions(**options), params=params or DreamParams(), image=Sent(image))
        return world.submissions.submit(owner, submission).job

    return send


def test_an_accepted_job_is_durable_before_redis_knows_it(world, submit):
    # when
    job = submit(priority="high", deadline_s=60, params=DreamParams(octaves=2))

    # then
    manifest = Manifest.model_validate_json(world.storage.objects[object_keys.manifest(job.id)])
    assert world.storage.objects[object_keys.image(job.id)] == a_picture()
    assert Pending.model_validate_json(world.storage.objects[object_keys.pending(job.id)]).retry_count == 0
    assert (manifest.owner, manifest.priority, manifest.params.octaves) == ("ann", "high", 2)
    assert manifest.deadline_at == world.clock.now() + 60
    assert world.store.get(job.id).state is JobState.QUEUED
    assert world.notifier.wake_ups == 1


def test_the_manifest_holds_the_resolved_parameters(submit):
    job = submit()

    assert job.params.layers == (Target(layer="block11_expand"),)
    assert job.params.jitter == 16


def test_ids_sort_by_the_time_of_submission(world, submit):
    ids = []
    for _ in range(5):
        ids.append(submit().id)
        world.clock.sleep(0.01)

    assert ids == sorted(ids)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        ({"params": DreamParams(layers=(Target(layer="block99"),))}, InvalidField),
        ({"params": DreamParams(model="vgg")}, InvalidField),
        ({"data": b"hello"}, UnsupportedImage),
        ({"data": a_picture(width=1200, height=1000)}, ImageTooLarge),
    ],
)
def test_nothing_is_stored_or_enqueued_when_a_request_is_refused(world, submit, bad, error):
    with pytest.raises(error):
        submit(**bad)

    assert (world.storage.objects, world.store.jobs, world.notifier.wake_ups) == ({}, {}, 0)


def test_a_job_is_accepted_while_redis_is_unavailable_and_found_after_recovery(world, submit):
    # given
    world.store.available = False

    # when
    job = submit()
    with pytest.raises(StoreUnavailable):
        world.service.get("ann", job.id)
    world.store.available = True

    # then
    assert world.service.get("ann", job.id).state is JobState.QUEUED
    assert world.store.get(job.id) is not None


def test_a_job_is_refused_while_storage_is_unavailable(world, submit):
    world.storage.available = False

    with pytest.raises(StorageUnavailable):
        submit()
    assert world.store.jobs == {}


def test_objects_written_before_storage_filled_up_are_removed(world, submit):
    # given storage that is full after the image
    def put_image_only(key, body, **_):
        if not key.endswith("/input"):
            raise StorageFull
        world.storage.objects[key] = body.read()

    world.storage.put = put_image_only

    # when
    with pytest.raises(StorageFull):
        submit()

    # then
    assert world.storage.objects == {}


def test_another_owners_job_is_not_found(world, submit):
    job = submit(owner="ann")

    for call in (world.service.get, world.service.cancel, world.service.retry, world.service.delete):
        with pytest.raises(JobNotFound):
            call("bob", job.id)
    assert world.service.list_jobs("bob", states=None, kind=None, before=None, limit=10) == []


@pytest.mark.parametrize("nonsense", ["", "x", "../keys", "0" * 26 + "0", "01jabcdefghijklmnopqrstuvw"])
def test_an_invalid_job_id_is_not_looked_up_in_storage(world, nonsense):
    world.storage.available = False

    with pytest.raises(JobNotFound):
        world.service.get("ann", nonsense)


@pytest.mark.parametrize("state", [JobState.SUCCEEDED, JobState.FAILED])
def test_after_redis_was_wiped_a_job_has_the_state_of_its_outcome(world, submit, state):
    # given
    job = submit()
    ended = world.end(world.claim(), state)
    world.store.wipe()

    # when
    found = world.service.get("ann", job.id)

    # then
    assert (found.state, found.claim) == (state, ended.claim)
    assert world.store.get(job.id).state is state


def test_a_cancel_survives_a_wiped_redis(world, submit):
    # given a cancel that the worker has not received yet
    job = submit()
    world.claim()
    world.service.cancel("ann", job.id)
    world.store.wipe()

    # when
    found = world.service.get("ann", job.id)

    # then
    assert found.state is JobState.CANCELED
    assert world.records.outcome(job.id, 0).state is JobState.CANCELED


def test_a_deleted_job_is_not_restored_from_storage(world, submit):
    # given
    job = submit()
    kept = dict(world.storage.objects)

    # when
    world.service.delete("ann", job.id)

    # then only the tombstone is left, and it prevents a restore
    assert list(world.storage.objects) == [object_keys.tombstone(job.id)]
    world.storage.objects |= kept
    with pytest.raises(JobNotFound):
        world.service.get("ann", job.id)


def test_canceling_a_queued_job_ends_it_at_once(world, submit):
    # given
    job = submit()

    # when
    canceled = world.service.cancel("ann", job.id)

    # then
    assert canceled.state is JobState.CANCELED
    assert world.records.outcome(job.id, 0).state is JobState.CANCELED
    assert object_keys.pending(job.id) not in world.storage.objects


def test_canceling_a_running_job_makes_it_canceling(world, submit):
    # given
    job = submit()
    world.claim()

    # when
    canceling = world.service.cancel("ann", job.id)

    # then
    assert canceling.state is JobState.CANCELING
    assert world.records.is_cancel_asked(canceling.id, 0)
    assert world.records.outcome(job.id, 0) is None


def test_a_cancel_is_durable_before_redis_knows_it(world, submit):
    # given
    job = submit()
    found = world.store.get(job.id)
    world.store.cancel = lambda *_, **__: (_ for _ in ()).throw(StoreUnavailable())

    # when
    with pytest.raises(StoreUnavailable):
        world.service.cancel("ann", job.id)

    # then
    assert world.records.is_cancel_asked(found.id, 0)


def test_canceling_is_idempotent(world, submit):
    job = submit()

    assert world.service.cancel("ann", job.id) == world.service.cancel("ann", job.id)


def test_a_finished_job_cannot_be_canceled(world, submit):
    job = submit()
    world.end(world.claim(), JobState.SUCCEEDED)

    with pytest.raises(WrongState, match="succeeded"):
        world.service.cancel("ann", job.id)


def test_a_failed_job_can_be_retried(world, submit):
    # given
    job = submit()
    world.end(world.claim(), JobState.FAILED)

    # when
    retried = world.service.retry("ann", job.id)

    # then
    assert (retried.state, retried.retry_count) == (JobState.QUEUED, 1)
    assert Pending.model_validate_json(world.storage.objects[object_keys.pending(job.id, 1)]).retry_count == 1
    assert world.notifier.wake_ups == 2


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.SUCCEEDED])
def test_only_a_failed_or_canceled_job_can_be_retried(world, submit, state):
    job = submit()
    world.edit(job, state=state)

    with pytest.raises(WrongState, match=state):
        world.service.retry("ann", job.id)


def test_a_job_past_its_deadline_is_retried_only_with_a_new_one(world, submit):
    job = submit(deadline_s=5)
    world.end(world.claim(), JobState.FAILED)
    world.clock.sleep(6)

    with pytest.raises(WrongState, match="deadline_s"):
        world.service.retry("ann", job.id)
    assert world.service.retry("ann", job.id, deadline=NewDeadline(60)).deadline_at == world.clock.now() + 60


def test_a_retry_keeps_the_deadline_or_removes_it(world, submit):
    first, second = submit(deadline_s=50), submit(deadline_s=50)
    for _ in range(2):
        world.end(world.claim(), JobState.FAILED)
    assert world.service.retry("ann", first.id).deadline_at == first.deadline_at
    assert world.service.retry("ann", second.id, deadline=NewDeadline(None)).deadline_at is None


def test_the_result_has_a_short_lived_address_in_storage(world, submit):
    # given
    submit()
    job = world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png", report_json=b"{}", preview_jpg=b"jpg")

    # when
    address = world.service.result_url("ann", job.id)

    # then
    assert address.startswith(f"memory://{object_keys.output(job.id, job.claim, 'result.png')}")
    assert f"dream-{job.id}.png" in address
    assert world.service.report("ann", job.id) == b"{}"
    assert world.service.preview("ann", job.id) == b"jpg"


def test_an_unfinished_job_has_no_result(world, submit):
    job = submit()

    for call in (world.service.result_url, world.service.report, world.service.preview):
        with pytest.raises(NotReady):
            call("ann", job.id)


def test_a_failed_job_has_no_result(world, submit):
    submit()
    job = world.end(world.claim(), JobState.FAILED)

    with pytest.raises(WrongState, match="failed"):
        world.service.result_url("ann", job.id)


def test_a_removed_result_is_expired(world, submit):
    # given one removed by the bucket's lifecycle rules, and one removed by retention
    submit()
    job = world.end(world.claim(), JobState.SUCCEEDED)
    for call in (world.service.result_url, world.service.report):
        with pytest.raises(ResultExpired):
            call("ann", job.id)
    world.store.expire(job.id, retry_count=0)

    # when, then
    for call in (world.service.result_url, world.service.report, world.service.preview):
        with pytest.raises(ResultExpired):
            call("ann", job.id)


def test_readiness_needs_redis_storage_and_a_worker(world):
    # given
    assert not world.service.readiness().ready
    worker = WorkerInfo(name="worker-1", models=(), device="cpu", job_id=None, seen_at=0)
    world.store.register_worker(worker, ttl_s=60)

    # when, then
    assert world.service.readiness().ready
    world.storage.available = False
    assert not world.service.readiness().ready
    assert "storage" in world.service.readiness().storage
    world.store.available = False
    assert "Redis" in world.service.readiness().redis
