"""Tests that a job is accepted once and ends once, under races and lost answers."""

import contextlib
import io
import itertools
from dataclasses import replace

import pytest

from shared.errors import ClaimLost, JobNotFound, ResultExpired, StorageUnavailable, StoreUnavailable, SubmissionGivenUp
from shared.jobs.job import Job, JobError, JobState, Manifest, Outcome, Webhook
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from tests.fakes import documents
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage

NOW = 1_800_000_000.0
LITE0 = ("efficientnet-lite0",)


class World:
    def __init__(self) -> None:
        self.store, self.storage, self.notifier = MemoryJobStore(), MemoryObjectStorage(), MemoryNotifier()
        self.lifecycle = JobLifecycle(self.storage, self.store, self.notifier)
        self.records = self.lifecycle.records

    def accepted(self, **fields) -> Job:
        """Accepts a job that is not in Redis."""
        return documents.accepted(self.storage, a_manifest(**fields))

    def known(self, state: JobState = JobState.QUEUED, **fields) -> Job:
        job = self.accepted(**fields)
        self.store.create(job)
        if state is not JobState.QUEUED:
            self.settle(job, state)
        return self.store.get(job.id)

    def accept(self, manifest: Manifest) -> Job:
        return self.lifecycle.accept(manifest, {object_keys.image(manifest.id): io.BytesIO(b"pixels")})

    def restore(self, job: Job, **options) -> Job | None:
        return self.lifecycle.restore(job.id, now=NOW, **options)

    def settle(self, job: Job, state=JobState.SUCCEEDED, *, claim=None) -> Outcome:
        error = JobError(code="out_of_memory", message="It did not fit.") if state is JobState.FAILED else None
        outcome = Outcome(retry_count=job.retry_count, state=state, finished_at=NOW, claim=claim, error=error)
        return self.lifecycle.settle(job.id, outcome)

    def before(self, service, name: str, action) -> None:
        """Runs an action once, right before a call reaches Redis or S3."""
        call = getattr(service, name)

        def later(*args, **options):
            setattr(service, name, call)
            action()
            return call(*args, **options)

        setattr(service, name, later)

    def fail_after(self, calls: int, service) -> None:
        """Lets only so many calls reach Redis or S3."""
        left = itertools.count(calls, -1)

        def failing(call):
            def reach(*args, **options):
                if next(left) <= 0:
                    raise StorageUnavailable
                return call(*args, **options)

            return reach

        for name in ("put", "delete", "keys", "forget"):
            if hasattr(service, name):
                setattr(service, name, failing(getattr(service, name)))

    def lose_answer(self, key: str, *, arrives: bool) -> None:
        """Loses the answer of S3 to the next write of that key."""
        put = self.storage.put

        def unanswered(name, body, **options):
            if name != key:
                return put(name, body, **options)
            self.storage.put = put
            if arrives:
                put(name, body, **options)
            raise StorageUnavailable

        self.storage.put = unanswered


@pytest.fixture
def world():
    return World()


# --- accept ---


def test_an_accepted_job_is_durable_waits_and_wakes_a_worker(world):
    manifest = a_manifest()
    job = world.accept(manifest)
    assert world.records.recall(job.id) == job
    assert world.store.get(job.id).state is JobState.QUEUED
    assert world.notifier.wake_ups == 1


def test_an_acceptance_whose_answer_was_lost_is_read_back(world):
    manifest = a_manifest()
    world.lose_answer(object_keys.manifest(manifest.id), arrives=True)
    assert world.accept(manifest).state is JobState.QUEUED


def test_an_acceptance_that_never_arrived_is_given_up_and_leaves_nothing_that_could_run(world):
    manifest = a_manifest()
    world.lose_answer(object_keys.manifest(manifest.id), arrives=False)
    with pytest.raises(StorageUnavailable):
        world.accept(manifest)
    assert set(world.storage.objects) == {object_keys.manifest(manifest.id)}
    assert world.records.fate(manifest.id) == "void"


def test_an_undecided_acceptance_is_left_to_housekeeping(world):
    manifest = a_manifest()
    world.lose_answer(object_keys.manifest(manifest.id), arrives=True)
    give_up = world.lifecycle.give_up

    def unavailable(_):
        raise StorageUnavailable

    world.lifecycle.give_up = unavailable
    with pytest.raises(StorageUnavailable):
        world.accept(manifest)
    assert not give_up(manifest.id)
    assert world.restore(Job.from_manifest(manifest)).state is JobState.QUEUED


def test_a_submission_that_was_given_up_while_it_was_held_up_is_never_accepted(world):
    manifest = a_manifest()
    world.before(world.storage, "put", lambda: documents.given_up(world.storage, manifest.id))
    with pytest.raises(SubmissionGivenUp):
        world.accept(manifest)
    assert set(world.storage.objects) == {object_keys.manifest(manifest.id)}
    assert world.store.get(manifest.id) is None


def test_an_accepted_job_that_was_deleted_since_is_not_given_up(world):
    job = world.accepted()
    world.lifecycle.delete(job.id)
    assert not world.lifecycle.give_up(job.id)
    assert list(world.storage.keys(object_keys.job(job.id))) == []


def test_an_accepted_job_is_not_given_up(world):
    job = world.accepted()
    assert not world.lifecycle.give_up(job.id)
    assert world.records.manifest(job.id)


def test_a_job_that_was_deleted_before_its_submission_got_to_redis_does_not_come_back(world):
    manifest = a_manifest()
    world.before(world.store, "create", lambda: documents.deleted(world.storage, manifest.id))
    world.accept(manifest)
    assert world.store.get(manifest.id) is None


def test_a_job_is_accepted_without_redis(world):
    world.store.available = False
    job = world.accept(a_manifest())
    world.store.available = True
    assert world.restore(job).state is JobState.QUEUED


# --- claim ---


def test_a_claim_is_acknowledged_before_it_is_handed_out(world):
    world.known()
    job = world.lifecycle.claim("w", LITE0, lease_s=10)
    assert job.state is JobState.RUNNING
    assert world.store.unacknowledged == set()


def test_a_claim_whose_acknowledgment_was_not_answered_is_acknowledged_again(world):
    world.known()
    renew, answers = world.store.renew, [StoreUnavailable, None]

    def lossy(*args, **options):
        renew(*args, **options)
        if answer := answers.pop(0):
            raise answer

    world.store.renew = lossy
    assert world.lifecycle.claim("w", LITE0, lease_s=10) is not None


@pytest.mark.parametrize("lost", [ClaimLost, JobNotFound])
def test_a_claim_that_is_lost_at_once_is_no_claim(world, lost):
    world.known()

    def refuse(*_, **__):
        raise lost

    world.store.renew = refuse
    assert world.lifecycle.claim("w", LITE0, lease_s=10) is None


# --- settle ---


def test_the_first_outcome_is_the_truth_for_everybody(world):
    job = world.known()
    assert world.settle(job, claim="first").claim == "first"
    assert world.settle(job, JobState.FAILED, claim="second").claim == "first"
    assert (world.store.get(job.id).state, world.store.get(job.id).claim) == (JobState.SUCCEEDED, "first")


def test_an_outcome_whose_answer_was_lost_is_ours_when_it_is_written_again(world):
    job = world.known()
    world.lose_answer(object_keys.outcome(job.id, 0), arrives=True)
    with pytest.raises(StorageUnavailable):
        world.settle(job, claim="ours")
    assert world.settle(job, claim="ours").claim == "ours"


def test_a_job_whose_cancel_is_durable_ends_canceled_also_if_no_attempt_has_heard_of_it(world):
    job = world.known()
    documents.cancel_asked(world.storage, job)
    assert world.settle(job, claim="won").state is JobState.CANCELED
    assert world.store.get(job.id).state is JobState.CANCELED


def test_a_job_deleted_while_it_was_being_settled_leaves_nothing(world):
    job = world.known()
    documents.deleted(world.storage, job.id)
    world.settle(job)
    assert set(world.storage.objects) == {object_keys.tombstone(job.id)}
    assert world.store.get(job.id) is None


# --- cancel ---


def test_canceling_a_job_that_redis_was_rolled_back_behind_tells_the_truth(world):
    job = world.accepted()
    world.settle(job, claim="won")  # Redis knows nothing of it ...
    world.store.create(job)  # ... and believes that it waits
    assert world.lifecycle.cancel(job, now=NOW).state is JobState.SUCCEEDED


def test_a_late_cancel_of_an_earlier_retry_neither_stops_the_later_one_nor_forgets_its_cancel(world):
    # given a retried job that is being canceled
    first = world.known(JobState.FAILED)
    second = world.lifecycle.retry(first, now=NOW)
    world.store.claim("w", LITE0, lease_s=10)
    world.lifecycle.cancel(second, now=NOW)

    # when a request for the first retry gets through at last, and Redis forgets everything
    world.lifecycle.cancel(first, now=NOW)
    world.store.wipe()

    # then
    assert world.restore(second).state is JobState.CANCELED


def test_a_late_cancel_of_an_earlier_retry_does_not_stop_a_later_one(world):
    first = world.known(JobState.FAILED)
    world.lifecycle.retry(first, now=NOW)
    world.store.claim("w", LITE0, lease_s=10)
    assert world.lifecycle.cancel(first, now=NOW).state is JobState.RUNNING


# --- checkpoint ---


def test_a_checkpoint_that_cannot_be_stored_replaces_no_other_and_forgives_no_death(world):
    # given a job that has died once, and two checkpoints of it
    job = world.known()
    claimed = world.store.claim("w", LITE0, lease_s=10)
    world.store.release(claimed, died=True)
    claimed = world.store.claim("w", LITE0, lease_s=10)
    older, newer = (object_keys.checkpoint(job.id, 0, iteration, "x") for iteration in (1, 2))
    world.storage.put(older, b"older")
    world.lose_answer(newer, arrives=False)

    with pytest.raises(StorageUnavailable):
        world.lifecycle.checkpoint(claimed, newer, io.BytesIO(b"newer"), [older])

    assert older in world.storage.objects
    assert world.store.get(job.id).deaths == 1


# --- retry, delete, expire ---


def test_a_retry_is_owed_another_outcome(world):
    failed = world.known(JobState.FAILED)
    retried = world.lifecycle.retry(failed, now=NOW)
    assert (retried.state, retried.retry_count, world.records.pending_retries(failed.id)) == (JobState.QUEUED, 1, [1])
    assert world.notifier.wake_ups == 1


def test_a_retrys_deadline_is_durable_and_the_first_requests_counts(world):
    failed = replace(world.known(JobState.FAILED), deadline_at=NOW - 1)
    assert world.lifecycle.retry(replace(failed, deadline_at=NOW + 60), now=NOW).deadline_at == NOW + 60
    assert world.lifecycle.retry(replace(failed, deadline_at=None), now=NOW).deadline_at == NOW + 60
    world.store.wipe()
    assert world.restore(failed).deadline_at == NOW + 60


def test_a_canceled_job_is_retried_like_a_failed_one(world):
    canceled = world.known(JobState.CANCELED)
    retried = world.lifecycle.retry(canceled, now=NOW)
    assert (retried.state, retried.retry_count, world.records.pending_retries(canceled.id)) == (JobState.QUEUED, 1, [1])
    world.store.wipe()
    assert world.restore(canceled).state is JobState.QUEUED


def test_a_retry_that_loses_against_a_delete_leaves_nothing_that_is_owed(world):
    failed = world.known(JobState.FAILED)
    world.lifecycle.delete(failed.id)
    with pytest.raises(JobNotFound):
        world.lifecycle.retry(failed, now=NOW)
    assert set(world.storage.objects) == {object_keys.tombstone(failed.id)}


@pytest.mark.parametrize("service", ["storage", "store"])
@pytest.mark.parametrize("done", range(8))
def test_a_delete_that_breaks_off_has_changed_nothing_or_is_durable(world, service, done):
    failed = world.known(JobState.FAILED)
    before = dict(world.storage.objects)
    world.fail_after(done, world.storage if service == "storage" else world.store)

    with contextlib.suppress(StorageUnavailable):
        world.lifecycle.delete(failed.id)

    assert world.storage.objects == before or object_keys.tombstone(failed.id) in world.storage.objects


def test_a_retry_of_a_job_that_redis_forgot_is_answered_with_the_job_as_it_is_now(world):
    failed = world.known(JobState.FAILED)
    world.store.wipe()
    retried = world.lifecycle.retry(failed, now=NOW)
    assert (retried.state, retried.retry_count) == (JobState.QUEUED, 1)


def test_a_retry_is_answered_with_the_retry_although_redis_was_rolled_back_meanwhile(world):
    failed = world.known(JobState.FAILED)
    before = replace(failed, state=JobState.RUNNING, error=None, finished_at=None)
    world.before(world.store, "retry", lambda: world.store.jobs.update({failed.id: before}))
    retried = world.lifecycle.retry(failed, now=NOW)
    assert (retried.state, retried.retry_count) == (JobState.QUEUED, 1)


def test_a_retry_that_was_held_up_until_another_one_has_ended_owes_nothing_again(world):
    failed = world.known(JobState.FAILED)
    retried = world.lifecycle.retry(failed, now=NOW)
    world.settle(retried, claim="won")
    assert world.lifecycle.retry(failed, now=NOW).state is JobState.SUCCEEDED
    assert world.records.pending_retries(failed.id) == []


def test_a_retry_that_a_rolled_back_redis_forgot_does_not_send_its_webhook_again(world):
    webhook = Webhook(url="https://dreams.example/hook", api_url="https://api.example", events=("completed",))
    failed = world.known(JobState.FAILED, webhook=webhook)
    retried = world.lifecycle.retry(failed, now=NOW)
    world.settle(retried, claim="won")
    world.storage.delete([key for key in world.storage.objects if key.startswith(object_keys.webhook(""))])  # delivered
    world.store.jobs[failed.id] = failed  # Redis is rolled back

    assert world.lifecycle.retry(failed, now=NOW).state is JobState.SUCCEEDED
    assert not [key for key in world.storage.objects if key.startswith(object_keys.webhook(""))]


def test_a_retry_follows_the_last_one_that_failed_although_redis_was_rolled_back_behind_it(world):
    failed = world.known(JobState.FAILED)
    for _ in range(2):
        world.settle(world.lifecycle.retry(world.store.get(failed.id), now=NOW), JobState.FAILED)
    world.store.jobs[failed.id] = failed  # Redis is rolled back

    retried = world.lifecycle.retry(failed, now=NOW + 60)

    assert (retried.state, retried.retry_count) == (JobState.QUEUED, 3)
    assert world.records.pending_retries(failed.id) == [3]


def test_a_repeated_retry_request_does_not_retry_twice(world):
    failed = world.known(JobState.FAILED)
    world.settle(world.lifecycle.retry(failed, now=NOW - 1), JobState.FAILED)
    assert world.lifecycle.retry(failed, now=NOW - 1).retry_count == 1


def test_a_retried_job_keeps_its_photograph_whatever_retention_wanted(world):
    failed = world.known(JobState.FAILED)
    world.lifecycle.retry(failed, now=NOW)
    assert not world.lifecycle.expire(failed)
    assert object_keys.image(failed.id) in world.storage.objects


def test_an_expired_job_is_not_retried(world):
    failed = world.known(JobState.FAILED)
    assert world.lifecycle.expire(failed)
    with pytest.raises(ResultExpired):
        world.lifecycle.retry(failed, now=NOW)
    assert world.records.pending_retries(failed.id) == []
    world.store.wipe()
    assert world.restore(failed).state is JobState.EXPIRED


def test_retention_and_a_retry_at_the_same_moment_never_both_win(world):
    # given retention that is held up between its decision to remove the photograph and its doing so
    failed = world.known(JobState.FAILED)
    results = []

    def retry_meanwhile():
        with pytest.raises(ResultExpired):
            world.lifecycle.retry(failed, now=NOW)
        results.append("refused")

    world.before(world.storage, "delete", retry_meanwhile)

    # when, then
    assert world.lifecycle.expire(failed)
    assert results == ["refused"]


# --- restore ---


def test_a_job_deleted_while_it_was_being_restored_does_not_come_back(world):
    job = world.accepted()
    world.before(world.store, "create", lambda: documents.deleted(world.storage, job.id))
    assert world.restore(job) is None
    assert world.store.get(job.id) is None


@pytest.mark.parametrize("pending", [None, [0]])
def test_a_job_that_ended_while_it_was_being_restored_has_ended(world, pending):
    job = world.accepted()
    world.before(world.store, "create", lambda: world.settle(job))
    assert world.restore(job, pending=pending).state is JobState.SUCCEEDED


@pytest.mark.parametrize("pending", [None, [0]])
def test_a_restore_completes_an_interrupted_cancel(world, pending):
    job = world.accepted()
    documents.cancel_asked(world.storage, job)
    assert world.restore(job, pending=pending).state is JobState.CANCELED
    assert world.records.outcome(job.id, 0).state is JobState.CANCELED


def test_a_cancel_of_one_retry_is_none_of_the_next(world):
    job = world.accepted()
    documents.cancel_asked(world.storage, job)
    documents.settled(world.storage, job.id, Outcome(state=JobState.FAILED, finished_at=NOW))
    documents.retried(world.storage, job)
    assert world.restore(job).state is JobState.QUEUED


def test_the_latest_retry_counts_whatever_was_left_behind_by_the_others(world):
    job = world.known(JobState.FAILED)
    documents.retried(world.storage, job)
    world.settle(replace(job, retry_count=1), claim="won")
    documents.pending(world.storage, job.id, 0)  # a crash before it was removed
    recalled = world.records.recall(job.id)
    assert (recalled.state, recalled.retry_count, recalled.claim) == (JobState.SUCCEEDED, 1, "won")


def test_what_was_never_accepted_is_not_restored(world):
    manifest = a_manifest()
    documents.pending(world.storage, manifest.id, 0)
    assert world.restore(Job.from_manifest(manifest), pending=[0]) is None
    documents.given_up(world.storage, manifest.id)
    assert world.restore(Job.from_manifest(manifest), pending=[0]) is None
    assert world.store.jobs == {}


@pytest.mark.parametrize("retry_count", [0, 1, 12])
def test_keys_tell_their_retry_count(retry_count):
    job_id = a_manifest().id
    assert object_keys.parse_pending(object_keys.pending(job_id, retry_count)) == (job_id, retry_count)
    assert object_keys.outcome_retry_count(object_keys.outcome(job_id, retry_count)) == retry_count
    assert object_keys.outcome_retry_count(object_keys.manifest(job_id)) is None


@pytest.mark.parametrize("second", ["Second", None])
def test_of_two_renames_at_once_redis_and_s3_keep_the_same(second):
    # given a rename that reaches Redis only after another one is through
    world = World()
    job = world.known()
    world.before(world.store, "rename", lambda: world.lifecycle.rename(job, second))

    # when
    renamed = world.lifecycle.rename(job, "First")

    # then
    assert renamed.name == world.store.get(job.id).name == second
    assert world.records.recall(job.id).name == second
