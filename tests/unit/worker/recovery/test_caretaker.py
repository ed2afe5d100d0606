"""Tests each of the caretaker's duties, alone and with failing processes around it."""

import io

import pytest

from shared.errors import StorageFull, SubmissionGivenUp
from shared.interfaces import WorkerInfo
from shared.jobs.job import Job, JobState, Outcome
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from shared.settings import Settings
from tests.fakes import documents
from tests.fakes.clock import FakeClock
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from worker.recovery.caretaker import Caretaker
from worker.recovery.housekeeping import VOID_KEPT_S, WALK_EVERY_S, Housekeeping
from worker.recovery.reconciliation import UNACCEPTED_S

LEASE_S = 15.0
LITE0 = "efficientnet-lite0"


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store, self.storage, self.notifier = (
            MemoryJobStore(self.clock),
            MemoryObjectStorage(self.clock),
            MemoryNotifier(),
        )
        self.lifecycle = JobLifecycle(self.storage, self.store, self.notifier)

    def caretaker(self, **settings) -> Caretaker:
        return Caretaker(
            store=self.store,
            storage=self.storage,
            notifier=self.notifier,
            clock=self.clock,
            settings=Settings(lease_s=LEASE_S, reconcile_interval_s=60, **settings),
        )

    def trusted(self, **settings) -> Caretaker:
        """Returns a caretaker that has been running for longer than a lease."""
        caretaker = self.caretaker(**settings)
        self.look(caretaker, 2 * LEASE_S)
        return caretaker

    def look(self, caretaker: Caretaker, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.time += 1
            caretaker.run_round()

    def submit(self, **fields) -> Job:
        manifest = a_manifest(**fields)
        documents.accepted(self.storage, manifest)
        job = Job.from_manifest(manifest)
        self.store.create(job)
        return job

    def claim(self, *, lease_s: float = 5) -> Job:
        job = self.store.claim("w", [LITE0], lease_s=lease_s)
        self.store.renew(job, lease_s=lease_s)
        return job

    def worker(self, *models: str) -> None:
        info = WorkerInfo(name="w", models=models, device="cpu", job_id=None, seen_at=0)
        self.store.register_worker(info, ttl_s=1000)

    def settle(self, job: Job, state: JobState = JobState.SUCCEEDED, claim: str | None = None) -> None:
        self.lifecycle.settle(job.id, an_outcome(job, state, self.clock.now(), claim))

    def state(self, job: Job) -> JobState | None:
        known = self.store.get(job.id)
        return known and known.state


def an_outcome(job, state, now, claim=None):
    return Outcome(retry_count=job.retry_count, state=state, finished_at=now, claim=claim, attempt=job.attempt)


@pytest.fixture
def world():
    return World()


def test_a_job_with_an_expired_lease_waits_again(world):
    caretaker = world.trusted()
    job = world.submit()
    world.claim()
    world.look(caretaker, 4)
    assert world.state(job) is JobState.RUNNING
    world.look(caretaker, 2)
    assert (world.state(job), world.store.get(job.id).deaths) == (JobState.QUEUED, 1)


def test_no_lease_expires_until_one_lease_period_after_redis_is_back(world):
    caretaker = world.trusted()
    job = world.submit()
    world.claim()
    world.store.available = False
    world.look(caretaker, 30)
    world.store.available = True
    world.look(caretaker, LEASE_S - 1)
    assert world.state(job) is JobState.RUNNING
    world.look(caretaker, 2)
    assert world.state(job) is JobState.QUEUED


def test_no_lease_expires_right_after_the_machine_was_asleep(world):
    caretaker = world.trusted()
    job = world.submit()
    world.claim()
    world.clock.time += 3600
    caretaker.run_round()
    assert world.state(job) is JobState.RUNNING


def test_a_job_that_kills_three_workers_fails_and_frees_the_queue(world):
    caretaker = world.trusted()
    poison, other = world.submit(), world.submit()
    for _ in range(3):
        assert world.claim().id == poison.id
        world.look(caretaker, 7)
    assert world.state(poison) is JobState.FAILED
    assert world.store.get(poison.id).error.code == "worker_died"
    assert world.claim().id == other.id


def test_a_full_s3_keeps_one_job_from_ending_and_the_others_going(world):
    caretaker = world.trusted(max_deaths=1)
    doomed = world.submit()
    world.claim()
    world.look(caretaker, 4)
    put = world.storage.put

    def full(key, body, **how):
        if "outcome" in key:
            raise StorageFull
        return put(key, body, **how)

    world.storage.put = full
    world.worker(LITE0)
    waiting = world.submit()
    world.look(caretaker, 5)
    assert (world.state(doomed), world.state(waiting)) == (JobState.RUNNING, JobState.QUEUED)
    assert world.notifier.wake_ups == 1
    world.storage.put = put
    world.look(caretaker, 1)
    assert world.state(doomed) is JobState.FAILED


def test_a_worker_that_died_between_the_commit_and_telling_redis_has_not_died_in_vain(world):
    caretaker = world.trusted()
    job = world.submit()
    claimed = world.claim()
    document = an_outcome(job, JobState.SUCCEEDED, 1.0, claimed.claim).model_dump_json().encode()
    world.storage.put(object_keys.outcome(job.id, 0), document)
    world.look(caretaker, 7)
    assert (world.state(job), world.store.get(job.id).deaths) == (JobState.SUCCEEDED, 0)
    assert list(world.storage.keys("pending/")) == []


def test_a_canceling_job_whose_worker_died_is_canceled(world):
    caretaker = world.trusted()
    job = world.submit()
    world.claim()
    world.store.cancel(job.id, retry_count=0)
    world.look(caretaker, 7)
    assert world.state(job) is JobState.CANCELED
    assert world.lifecycle.records.outcome(job.id, 0).state is JobState.CANCELED


def test_a_waiting_job_past_its_deadline_fails(world):
    caretaker = world.trusted()
    job = world.submit(deadline_at=world.clock.now() + 10)
    world.look(caretaker, 12)
    assert world.store.get(job.id).error.code == "deadline_exceeded"


def test_doorbells_are_topped_up_to_the_jobs_that_a_live_worker_can_serve(world):
    caretaker = world.trusted()
    for _ in range(3):
        world.submit()
    world.look(caretaker, 5)
    assert world.notifier.wake_ups == 0
    world.worker(LITE0)
    world.look(caretaker, 5)
    assert world.notifier.wake_ups == 3
    world.notifier.wake_ups = 1  # two were lost
    world.look(caretaker, 1)
    assert world.notifier.wake_ups == 3


def test_workers_are_notified_again_of_a_job_that_no_worker_serves(world):
    caretaker = world.trusted()
    world.worker("inception5h")
    world.submit()
    world.look(caretaker, 61)
    assert world.notifier.wake_ups == 1


def test_a_wiped_redis_is_rebuilt_at_once(world):
    caretaker = world.trusted()
    waiting, done, canceled, failed = (world.submit() for _ in range(4))
    world.settle(done)
    world.settle(failed, JobState.FAILED)
    documents.cancel_asked(world.storage, canceled)
    world.store.wipe()
    world.look(caretaker, 1)
    states = [world.state(job) for job in (waiting, done, canceled, failed)]
    assert states == [JobState.QUEUED, JobState.SUCCEEDED, JobState.CANCELED, JobState.FAILED]
    assert world.store.generation() is not None


def test_a_restarted_redis_is_compared_at_once(world):
    caretaker = world.trusted()
    job = world.submit()
    del world.store.jobs[job.id]  # its creation was in the lost second
    world.store.restarts += 1
    world.look(caretaker, 1)
    assert world.state(job) is JobState.QUEUED


def test_a_job_that_redis_never_heard_of_is_found_within_a_minute(world):
    caretaker = world.trusted()
    manifest = a_manifest()
    documents.accepted(world.storage, manifest)
    world.look(caretaker, 61)
    assert world.store.get(manifest.id).state is JobState.QUEUED


def test_reconciliation_finds_a_retry_that_redis_lacks_despite_a_late_close(world):
    caretaker = world.trusted()
    job = world.submit()
    world.settle(job, JobState.FAILED)
    documents.retried(world.storage, job)
    world.lifecycle.close(job.id, world.lifecycle.records.outcome(job.id, 0))
    world.look(caretaker, 61)
    assert (world.state(job), world.store.get(job.id).retry_count) == (JobState.QUEUED, 1)


def test_a_document_from_the_future_does_not_stop_the_round(world):
    caretaker = world.trusted()
    strange, job = a_manifest(), a_manifest()
    for manifest in (strange, job):
        documents.accepted(world.storage, manifest)
    world.storage.objects[object_keys.manifest(strange.id)] = b'{"format": 2}'
    world.look(caretaker, 61)
    assert world.store.get(job.id) is not None


def test_of_two_caretakers_one_leads_until_it_falls_silent(world):
    first, second = world.trusted(), world.caretaker()
    job = world.submit()
    world.claim()
    for _ in range(4):
        world.look(second, 1)
    assert world.state(job) is JobState.RUNNING
    world.look(second, 2 * LEASE_S)
    assert world.state(job) is JobState.QUEUED
    first.run_round()


# --- housekeeping ---


def walk(world, caretaker):
    world.clock.time += WALK_EVERY_S + UNACCEPTED_S
    caretaker.run_round()


def test_what_was_never_accepted_is_given_up_and_swept_and_what_waits_is_not(world):
    # given
    caretaker = world.trusted()
    waiting = world.submit()
    orphan = a_manifest()
    world.storage.put(object_keys.image(orphan.id), b"pixels")
    documents.pending(world.storage, orphan.id, 0)

    # when
    walk(world, caretaker)

    # then it can no longer be accepted for a day, however often the walk comes by
    walk(world, caretaker)
    assert list(world.storage.keys(object_keys.job(orphan.id))) == [object_keys.manifest(orphan.id)]
    with pytest.raises(SubmissionGivenUp):
        world.lifecycle.accept(orphan, {object_keys.image(orphan.id): io.BytesIO(b"pixels")})
    assert list(world.storage.keys(object_keys.PENDING)) == [object_keys.pending(waiting.id)]
    assert len(list(world.storage.keys(object_keys.job(waiting.id)))) == 2
    world.clock.time += VOID_KEPT_S
    walk(world, caretaker)
    assert list(world.storage.keys(object_keys.job(orphan.id))) == []


def test_old_uploads_and_idempotency_keys_are_swept_and_younger_ones_keep_their_promise(world):
    # given
    caretaker = world.trusted()
    upload, key = object_keys.upload("ann", "u"), object_keys.idempotency("ann", "k")
    for name in (upload, key, "keys/a.json"):
        world.storage.put(name, b"x")

    def left_after(seconds):
        world.clock.time += seconds
        caretaker.run_round()
        return [name for name in (upload, key) if world.storage.get(name) is not None]

    # when, then
    assert left_after(object_keys.UPLOADS_KEPT_S - WALK_EVERY_S) == [upload, key]
    assert left_after(WALK_EVERY_S + 1) == [key]
    assert left_after(object_keys.IDEMPOTENCY_KEPT_S - object_keys.UPLOADS_KEPT_S - WALK_EVERY_S) == [key]
    assert left_after(2 * WALK_EVERY_S) == []
    assert world.storage.get("keys/a.json") is not None


def test_unfinished_uploads_and_copies_are_aborted_after_a_day(world):
    # given
    caretaker = world.trusted()
    keys = (object_keys.upload("ann", "u"), object_keys.image("01ARZ3NDEKTSV4RRFFQ69G5FAV"))
    begun = [(key, world.storage.begin_parts(key)) for key in keys]

    # when, then
    world.clock.time += object_keys.UPLOADS_KEPT_S - WALK_EVERY_S
    caretaker.run_round()
    assert list(world.storage.begun) == begun
    world.clock.time += WALK_EVERY_S + 1
    caretaker.run_round()
    assert world.storage.begun == {}


def test_a_store_without_uploads_by_parts_does_not_stop_the_walk(world):
    caretaker = world.trusted()
    world.storage.has_parts = False
    job = world.submit()
    world.storage.delete([object_keys.manifest(job.id), object_keys.pending(job.id)])
    world.clock.time += object_keys.UPLOADS_KEPT_S + WALK_EVERY_S

    walk(world, caretaker)

    assert world.storage.get(object_keys.image(job.id)) is None


def test_more_than_one_batch_of_old_objects_is_swept(world):
    caretaker = world.trusted()
    for number in range(2500):
        world.storage.put(object_keys.upload("ann", f"{number:04d}"), b"x")

    world.clock.time += object_keys.UPLOADS_KEPT_S + WALK_EVERY_S
    world.look(caretaker, 10)

    assert list(world.storage.keys(object_keys.UPLOADS)) == []


def test_outputs_of_losing_attempts_are_swept_and_the_winners_stay(world):
    caretaker = world.trusted()
    job = world.submit()
    world.settle(job, claim="won")
    for claim in ("won", "lost"):
        world.storage.put(object_keys.output(job.id, claim, "result.png"), b"pixels")
    world.storage.put(object_keys.checkpoint(job.id, 0, 1, "lost"), b"pixels")
    walk(world, caretaker)
    left = [key for key in world.storage.keys(object_keys.job(job.id)) if "attempts" in key or "checkpoints" in key]
    assert left == [object_keys.output(job.id, "won", "result.png")]


def test_a_failed_job_keeps_its_checkpoints_for_a_retry_whose_outputs_are_not_swept(world):
    caretaker = world.trusted()
    job = world.submit()
    world.settle(job, JobState.FAILED)
    world.store.retry(job.id, retry_count=documents.retried(world.storage, job))
    retried = world.claim(lease_s=1e6)
    kept = {object_keys.output(job.id, retried.claim, "result.png"), object_keys.checkpoint(job.id, 0, 1, "died")}
    for key in kept:
        world.storage.put(key, b"pixels")
    walk(world, caretaker)
    assert kept <= set(world.storage.keys(object_keys.job(job.id)))


def test_a_canceled_job_keeps_its_checkpoints_for_a_day(world):
    # given
    caretaker = world.trusted()
    job = world.submit()
    world.settle(job, JobState.CANCELED)
    checkpoint = object_keys.checkpoint(job.id, 0, 1, "canceled")
    world.storage.put(checkpoint, b"pixels")
    ended_at = world.store.get(job.id).finished_at

    # then
    world.clock.time = ended_at + object_keys.DAY_S - 1
    caretaker.run_round()
    assert checkpoint in world.storage.objects
    world.clock.time = ended_at + object_keys.DAY_S + WALK_EVERY_S
    caretaker.run_round()
    assert checkpoint not in world.storage.objects


def test_past_retention_the_pictures_go_and_the_record_stays(world):
    caretaker = world.trusted(retention_days=2)
    job = world.submit()
    world.settle(job, claim="won")
    world.storage.put(object_keys.output(job.id, "won", "result.png"), b"pixels")
    walk(world, caretaker)
    assert world.state(job) is JobState.SUCCEEDED
    world.clock.time += 2 * 86_400
    walk(world, caretaker)
    assert world.state(job) is JobState.EXPIRED
    names = {key.rsplit("/", 1)[1] for key in world.storage.keys(object_keys.job(job.id))}
    assert names == {"manifest.json", "outcome.json", "sequel-0"}
    world.store.wipe()
    world.look(caretaker, 1)
    assert world.state(job) is JobState.EXPIRED


def test_a_deleted_job_that_a_restart_brought_back_goes_again(world):
    caretaker = world.trusted()
    job = world.submit()
    documents.deleted(world.storage, job.id)  # and Redis forgot that it had forgotten
    world.storage.put(object_keys.output(job.id, "late", "result.png"), b"pixels")
    world.store.restarts += 1
    world.look(caretaker, 1)
    assert world.store.get(job.id) is None
    assert set(world.storage.objects) == {object_keys.tombstone(job.id)}


def test_the_order_of_claims_is_repaired_every_minute(world):
    caretaker = world.trusted()
    before = world.store.turn_rebuilds
    world.look(caretaker, 120)
    assert world.store.turn_rebuilds == before + 2


def test_what_a_retry_writes_is_not_swept_although_redis_was_rolled_back_behind_it(world):
    # given a failed job whose retry runs, which Redis has forgotten again, before reconciliation notices
    job = world.submit()
    world.settle(job, JobState.FAILED)
    failed = world.store.get(job.id)
    world.lifecycle.retry(failed, now=world.clock.now())
    output = object_keys.output(job.id, "claim-of-the-retry", "result.png")
    world.storage.put(output, b"pixels")
    world.store.jobs[job.id] = failed
    house = Housekeeping(
        lifecycle=world.lifecycle, store=world.store, storage=world.storage, clock=world.clock, settings=Settings()
    )

    house.go_on(for_s=60)

    assert world.storage.get(output) == b"pixels"
