"""Accepted once, settled once: what S3 says, and those who race each other over it."""

import io

import pytest

from shared import lifecycle
from shared.jobs import Job, JobError, JobState, Outcome
from shared.s3 import object_keys
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryObjectStorage

NOW = 1_800_000_000.0


class World:
    def __init__(self) -> None:
        self.store, self.storage = MemoryJobStore(), MemoryObjectStorage()

    def accept(self, **fields) -> Job:
        manifest = a_manifest(**fields)
        lifecycle.accept(self.storage, manifest, io.BytesIO(b"pixels"))
        return Job.from_manifest(manifest)

    def restore(self, job: Job) -> Job | None:
        return lifecycle.restore(self.storage, self.store, job.id, now=NOW)

    def settle(self, job: Job, state=JobState.SUCCEEDED, *, retry_count=0, claim=None) -> Outcome:
        error = JobError(code="out_of_memory", message="It did not fit.") if state is JobState.FAILED else None
        outcome = Outcome(retry_count=retry_count, state=state, finished_at=NOW, claim=claim, error=error)
        return lifecycle.settle(self.storage, self.store, job.id, outcome)

    def during_create(self, action) -> None:
        """Something happens between what a restore reads in S3 and what it writes to Redis."""
        create = self.store.create

        def create_later(job):
            action()
            return create(job)

        self.store.create = create_later


@pytest.fixture
def world():
    return World()


def test_the_first_outcome_is_the_truth_for_everybody(world):
    job = world.accept()
    world.store.create(job)
    assert world.settle(job, claim="first").claim == "first"
    assert world.settle(job, JobState.FAILED, claim="second").claim == "first"
    assert (world.store.get(job.id).state, world.store.get(job.id).claim) == (JobState.SUCCEEDED, "first")


def test_a_job_deleted_while_it_was_being_settled_leaves_nothing(world):
    job = world.accept()
    lifecycle.erase(world.storage, job.id)
    world.settle(job)
    assert set(world.storage.objects) == {object_keys.tombstone(job.id)}


def test_a_job_deleted_while_it_was_being_restored_does_not_come_back(world):
    job = world.accept()
    world.during_create(lambda: lifecycle.erase(world.storage, job.id))
    assert world.restore(job) is None
    assert world.store.get(job.id) is None


def test_a_job_that_ended_while_it_was_being_restored_has_ended(world):
    job = world.accept()
    world.during_create(lambda: world.settle(job))
    assert world.restore(job).state is JobState.SUCCEEDED


def test_a_cancel_that_nobody_carried_out_is_carried_out_by_the_restore(world):
    job = world.accept()
    lifecycle.ask_to_cancel(world.storage, job)
    assert world.restore(job).state is JobState.CANCELED
    assert lifecycle.read_outcome(world.storage, job.id, 0).state is JobState.CANCELED


def test_canceling_a_job_that_redis_was_rolled_back_behind_tells_the_truth(world):
    job = world.accept()
    world.settle(job, claim="won")  # Redis knows nothing of it ...
    world.store.create(job)  # ... and believes that it waits
    lifecycle.ask_to_cancel(world.storage, job)
    assert lifecycle.cancel(world.storage, world.store, job, now=NOW).state is JobState.SUCCEEDED


def test_a_cancel_of_one_epoch_is_none_of_the_next(world):
    job = world.accept()
    lifecycle.ask_to_cancel(world.storage, job)
    world.settle(job, JobState.FAILED)
    lifecycle.reopen(world.storage, job)
    assert world.restore(job).state is JobState.QUEUED


def test_the_latest_epoch_counts_whatever_was_left_behind_by_the_others(world):
    job = world.accept()
    world.settle(job, JobState.FAILED)
    lifecycle.reopen(world.storage, job)
    world.settle(job, retry_count=1, claim="won")
    world.storage.put(object_keys.pending(job.id), b'{"format":1,"retry_count":0}')  # a crash before it was removed
    recalled = lifecycle.recall(world.storage, job.id)
    assert (recalled.state, recalled.retry_count, recalled.claim) == (JobState.SUCCEEDED, 1, "won")


def test_what_was_never_accepted_is_not_recalled(world):
    manifest = a_manifest()
    world.storage.put(object_keys.manifest(manifest.id), manifest.model_dump_json().encode())
    assert lifecycle.recall(world.storage, manifest.id) is None


@pytest.mark.parametrize("retry_count", [0, 1, 12])
def test_keys_tell_their_epoch(retry_count):
    job_id = a_manifest().id
    assert object_keys.owed(object_keys.pending(job_id, retry_count)) == (job_id, retry_count)
    assert object_keys.outcome_retry_count(object_keys.outcome(job_id, retry_count)) == retry_count
    assert object_keys.outcome_retry_count(object_keys.manifest(job_id)) is None
