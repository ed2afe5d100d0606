"""Accepted once, settled once: what S3 says, and those who race each other over it."""

import io

import pytest

from shared import layout, ledger
from shared.jobs import Job, JobError, JobState, Outcome
from tests.twins.blobs import MemoryBlobs
from tests.twins.jobs import a_manifest
from tests.twins.store import MemoryStore

NOW = 1_800_000_000.0


class World:
    def __init__(self) -> None:
        self.store, self.blobs = MemoryStore(), MemoryBlobs()

    def accept(self, **fields) -> Job:
        manifest = a_manifest(**fields)
        ledger.accept(self.blobs, manifest, io.BytesIO(b"pixels"))
        return Job.from_manifest(manifest)

    def restore(self, job: Job) -> Job | None:
        return ledger.restore(self.blobs, self.store, job.id, now=NOW)

    def settle(self, job: Job, state=JobState.SUCCEEDED, *, epoch=0, claim=None) -> Outcome:
        error = JobError(code="out_of_memory", message="It did not fit.") if state is JobState.FAILED else None
        outcome = Outcome(epoch=epoch, state=state, finished_at=NOW, claim=claim, error=error)
        return ledger.settle(self.blobs, self.store, job.id, outcome)

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
    ledger.erase(world.blobs, job.id)
    world.settle(job)
    assert set(world.blobs.objects) == {layout.tombstone(job.id)}


def test_a_job_deleted_while_it_was_being_restored_does_not_come_back(world):
    job = world.accept()
    world.during_create(lambda: ledger.erase(world.blobs, job.id))
    assert world.restore(job) is None
    assert world.store.get(job.id) is None


def test_a_job_that_ended_while_it_was_being_restored_has_ended(world):
    job = world.accept()
    world.during_create(lambda: world.settle(job))
    assert world.restore(job).state is JobState.SUCCEEDED


def test_a_cancel_that_nobody_carried_out_is_carried_out_by_the_restore(world):
    job = world.accept()
    ledger.ask_to_cancel(world.blobs, job)
    assert world.restore(job).state is JobState.CANCELED
    assert ledger.read_outcome(world.blobs, job.id, 0).state is JobState.CANCELED


def test_canceling_a_job_that_redis_was_rolled_back_behind_tells_the_truth(world):
    job = world.accept()
    world.settle(job, claim="won")  # Redis knows nothing of it ...
    world.store.create(job)  # ... and believes that it waits
    ledger.ask_to_cancel(world.blobs, job)
    assert ledger.cancel(world.blobs, world.store, job, now=NOW).state is JobState.SUCCEEDED


def test_a_cancel_of_one_epoch_is_none_of_the_next(world):
    job = world.accept()
    ledger.ask_to_cancel(world.blobs, job)
    world.settle(job, JobState.FAILED)
    ledger.reopen(world.blobs, job)
    assert world.restore(job).state is JobState.QUEUED


def test_the_latest_epoch_counts_whatever_was_left_behind_by_the_others(world):
    job = world.accept()
    world.settle(job, JobState.FAILED)
    ledger.reopen(world.blobs, job)
    world.settle(job, epoch=1, claim="won")
    world.blobs.put(layout.pending(job.id), b'{"format":1,"epoch":0}')  # a crash before it was removed
    recalled = ledger.recall(world.blobs, job.id)
    assert (recalled.state, recalled.epoch, recalled.claim) == (JobState.SUCCEEDED, 1, "won")


def test_what_was_never_accepted_is_not_recalled(world):
    manifest = a_manifest()
    world.blobs.put(layout.manifest(manifest.id), manifest.model_dump_json().encode())
    assert ledger.recall(world.blobs, manifest.id) is None


@pytest.mark.parametrize("epoch", [0, 1, 12])
def test_keys_tell_their_epoch(epoch):
    job_id = a_manifest().id
    assert layout.owed(layout.pending(job_id, epoch)) == (job_id, epoch)
    assert layout.outcome_epoch(layout.outcome(job_id, epoch)) == epoch
    assert layout.outcome_epoch(layout.manifest(job_id)) is None
