"""The caretaker's duties, one by one and in bad company."""

import io

import pytest

from shared import layout, ledger
from shared.errors import BlobsFull
from shared.jobs import Job, JobState, Outcome
from shared.ports import WorkerInfo
from shared.settings import Settings
from tests.twins.blobs import MemoryBlobs, MemoryDoorbell
from tests.twins.clock import FakeClock
from tests.twins.jobs import a_manifest
from tests.twins.store import MemoryStore
from worker.caretaker import Caretaker
from worker.housekeeping import UNACCEPTED_S, WALK_EVERY_S

LEASE_S = 15.0
LITE0 = "efficientnet-lite0"


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store, self.blobs, self.doorbell = MemoryStore(self.clock), MemoryBlobs(self.clock), MemoryDoorbell()

    def caretaker(self, **settings) -> Caretaker:
        return Caretaker(
            store=self.store,
            blobs=self.blobs,
            doorbell=self.doorbell,
            clock=self.clock,
            settings=Settings(lease_s=LEASE_S, reconcile_interval_s=60, **settings),
        )

    def trusted(self, **settings) -> Caretaker:
        """One that has been looking on for longer than a lease."""
        caretaker = self.caretaker(**settings)
        self.look(caretaker, 2 * LEASE_S)
        return caretaker

    def look(self, caretaker: Caretaker, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.time += 1
            caretaker.look_around()

    def submit(self, **fields) -> Job:
        manifest = a_manifest(**fields)
        ledger.accept(self.blobs, manifest, io.BytesIO(b"pixels"))
        job = Job.from_manifest(manifest)
        self.store.create(job)
        return job

    def claim(self, *, lease_s: float = 5) -> Job:
        return self.store.claim("w", [LITE0], lease_s=lease_s)

    def worker(self, *models: str) -> None:
        info = WorkerInfo(name="w", models=models, device="cpu", job_id=None, seen_at=0)
        self.store.beat(info, ttl_s=1000)

    def settle(self, job: Job, state: JobState = JobState.SUCCEEDED, claim: str | None = None) -> None:
        ledger.settle(self.blobs, self.store, job.id, an_outcome(job, state, self.clock.now(), claim))

    def state(self, job: Job) -> JobState | None:
        known = self.store.get(job.id)
        return known and known.state


def an_outcome(job, state, now, claim=None):
    return Outcome(epoch=job.epoch, state=state, finished_at=now, claim=claim, attempt=job.attempt)


@pytest.fixture
def world():
    return World()


def test_a_lapsed_job_waits_again(world):
    caretaker = world.trusted()
    job = world.submit()
    world.claim()
    world.look(caretaker, 4)
    assert world.state(job) is JobState.RUNNING
    world.look(caretaker, 2)
    assert (world.state(job), world.store.get(job.id).deaths) == (JobState.QUEUED, 1)


def test_nobody_is_judged_until_one_lease_after_redis_is_back(world):
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


def test_nobody_is_judged_right_after_the_machine_was_asleep(world):
    caretaker = world.trusted()
    job = world.submit()
    world.claim()
    world.clock.time += 3600
    caretaker.look_around()
    assert world.state(job) is JobState.RUNNING


def test_a_job_that_kills_three_workers_fails_with_the_reason_and_blocks_nobody(world):
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
    put = world.blobs.put

    def full(key, body, **how):
        if "outcome" in key:
            raise BlobsFull
        return put(key, body, **how)

    world.blobs.put = full
    world.worker(LITE0)
    waiting = world.submit()
    world.look(caretaker, 5)
    assert (world.state(doomed), world.state(waiting)) == (JobState.RUNNING, JobState.QUEUED)
    assert world.doorbell.rings == 1
    world.blobs.put = put
    world.look(caretaker, 1)
    assert world.state(doomed) is JobState.FAILED


def test_a_worker_that_died_between_the_commit_and_telling_redis_has_not_died_in_vain(world):
    caretaker = world.trusted()
    job = world.submit()
    claimed = world.claim()
    document = an_outcome(job, JobState.SUCCEEDED, 1.0, claimed.claim).model_dump_json().encode()
    world.blobs.put(layout.outcome(job.id, 0), document)
    world.look(caretaker, 7)
    assert (world.state(job), world.store.get(job.id).deaths) == (JobState.SUCCEEDED, 0)
    assert list(world.blobs.keys("pending/")) == []


def test_a_canceling_job_whose_worker_died_is_canceled(world):
    caretaker = world.trusted()
    job = world.submit()
    world.claim()
    world.store.cancel(job.id)
    world.look(caretaker, 7)
    assert world.state(job) is JobState.CANCELED
    assert ledger.read_outcome(world.blobs, job.id, 0).state is JobState.CANCELED


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
    assert world.doorbell.rings == 0
    world.worker(LITE0)
    world.look(caretaker, 5)
    assert world.doorbell.rings == 3
    world.doorbell.rings = 1  # two were lost
    world.look(caretaker, 1)
    assert world.doorbell.rings == 3


def test_a_job_that_nobody_serves_is_rung_for_now_and_then(world):
    caretaker = world.trusted()
    world.worker("inception5h")
    world.submit()
    world.look(caretaker, 61)
    assert world.doorbell.rings == 1


def test_a_wiped_redis_is_rebuilt_at_once(world):
    caretaker = world.trusted()
    waiting, done, canceled, failed = (world.submit() for _ in range(4))
    world.settle(done)
    world.settle(failed, JobState.FAILED)
    ledger.ask_to_cancel(world.blobs, canceled)
    world.store.wipe()
    world.look(caretaker, 1)
    states = [world.state(job) for job in (waiting, done, canceled, failed)]
    assert states == [JobState.QUEUED, JobState.SUCCEEDED, JobState.CANCELED, JobState.FAILED]
    assert world.store.epoch() is not None


def test_a_restarted_redis_is_compared_at_once(world):
    caretaker = world.trusted()
    job = world.submit()
    world.store.forget(job.id)  # its creation was in the lost second
    world.store.restarts += 1
    world.look(caretaker, 1)
    assert world.state(job) is JobState.QUEUED


def test_a_job_that_redis_never_heard_of_is_found_within_a_minute(world):
    caretaker = world.trusted()
    manifest = a_manifest()
    ledger.accept(world.blobs, manifest, io.BytesIO(b"pixels"))
    world.look(caretaker, 61)
    assert world.store.get(manifest.id).state is JobState.QUEUED


def test_a_retry_that_redis_never_heard_of_is_found_and_no_late_close_takes_it_away(world):
    caretaker = world.trusted()
    job = world.submit()
    world.settle(job, JobState.FAILED)
    ledger.reopen(world.blobs, job)
    ledger.close(world.blobs, world.store, job.id, ledger.read_outcome(world.blobs, job.id, 0))
    world.look(caretaker, 61)
    assert (world.state(job), world.store.get(job.id).epoch) == (JobState.QUEUED, 1)


def test_a_document_from_the_future_does_not_stop_the_round(world):
    caretaker = world.trusted()
    strange, job = a_manifest(), a_manifest()
    for manifest in (strange, job):
        ledger.accept(world.blobs, manifest, io.BytesIO(b"pixels"))
    world.blobs.objects[layout.manifest(strange.id)] = b'{"format": 2}'
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
    first.look_around()


# --- housekeeping ---


def walk(world, caretaker):
    world.clock.time += WALK_EVERY_S + UNACCEPTED_S
    caretaker.look_around()


def test_what_was_never_accepted_is_swept_and_what_waits_is_not(world):
    caretaker = world.trusted()
    waiting = world.submit()
    orphan = a_manifest()
    world.blobs.put(layout.image(orphan.id), b"pixels")
    walk(world, caretaker)
    assert list(world.blobs.keys(layout.job(orphan.id))) == []
    assert len(list(world.blobs.keys(layout.job(waiting.id)))) == 2


def test_a_submission_that_is_repeated_hours_later_under_its_old_id_is_not_swept_while_it_goes_on(world):
    caretaker = world.trusted()
    orphan = a_manifest()
    world.clock.time += 2 * UNACCEPTED_S
    world.blobs.put(layout.image(orphan.id), b"pixels")
    world.clock.time += UNACCEPTED_S - 1
    caretaker.look_around()
    assert list(world.blobs.keys(layout.job(orphan.id))) == [layout.image(orphan.id)]


def test_old_uploads_and_idempotency_keys_are_swept_and_younger_ones_keep_their_promise(world):
    # given
    caretaker = world.trusted()
    upload, key = layout.upload("ann", "u"), layout.idempotency("ann", "k")
    for name in (upload, key, "keys/a.json"):
        world.blobs.put(name, b"x")

    def left_after(seconds):
        world.clock.time += seconds
        caretaker.look_around()
        return [name for name in (upload, key) if world.blobs.get(name) is not None]

    # when, then
    assert left_after(layout.UPLOADS_KEPT_S - WALK_EVERY_S) == [upload, key]
    assert left_after(WALK_EVERY_S + 1) == [key]
    assert left_after(layout.IDEMPOTENCY_KEPT_S - layout.UPLOADS_KEPT_S - WALK_EVERY_S) == [key]
    assert left_after(2 * WALK_EVERY_S) == []
    assert world.blobs.get("keys/a.json") is not None


def test_more_than_one_batch_of_old_objects_is_swept(world):
    caretaker = world.trusted()
    for number in range(2500):
        world.blobs.put(layout.upload("ann", f"{number:04d}"), b"x")

    world.clock.time += layout.UPLOADS_KEPT_S + WALK_EVERY_S
    world.look(caretaker, 10)

    assert list(world.blobs.keys(layout.UPLOADS)) == []


def test_outputs_of_losing_attempts_are_swept_and_the_winners_stay(world):
    caretaker = world.trusted()
    job = world.submit()
    world.settle(job, claim="won")
    for claim in ("won", "lost"):
        world.blobs.put(layout.output(job.id, claim, "result.png"), b"pixels")
    world.blobs.put(layout.checkpoint(job.id, 0, 1, "lost"), b"pixels")
    walk(world, caretaker)
    left = [key for key in world.blobs.keys(layout.job(job.id)) if "attempts" in key or "checkpoints" in key]
    assert left == [layout.output(job.id, "won", "result.png")]


def test_a_failed_job_keeps_its_checkpoints_for_a_retry_whose_outputs_are_not_swept(world):
    caretaker = world.trusted()
    job = world.submit()
    world.settle(job, JobState.FAILED)
    epoch = ledger.reopen(world.blobs, job)
    world.store.retry(job.id, epoch=epoch)
    retried = world.claim(lease_s=1e6)
    kept = {layout.output(job.id, retried.claim, "result.png"), layout.checkpoint(job.id, 0, 1, "died")}
    for key in kept:
        world.blobs.put(key, b"pixels")
    walk(world, caretaker)
    assert kept <= set(world.blobs.keys(layout.job(job.id)))


def test_past_retention_the_pictures_go_and_the_record_stays(world):
    caretaker = world.trusted(retention_days=2)
    job = world.submit()
    world.settle(job, claim="won")
    world.blobs.put(layout.output(job.id, "won", "result.png"), b"pixels")
    walk(world, caretaker)
    assert world.state(job) is JobState.SUCCEEDED
    world.clock.time += 2 * 86_400
    walk(world, caretaker)
    assert world.state(job) is JobState.EXPIRED
    names = {key.rsplit("/", 1)[1] for key in world.blobs.keys(layout.job(job.id))}
    assert names == {"manifest.json", "outcome.json", "expired"}
    world.store.wipe()
    world.look(caretaker, 1)
    assert world.state(job) is JobState.EXPIRED


def test_a_deleted_job_that_a_restart_brought_back_goes_again(world):
    caretaker = world.trusted()
    job = world.submit()
    ledger.erase(world.blobs, job.id)  # and Redis forgot that it had forgotten
    world.blobs.put(layout.output(job.id, "late", "result.png"), b"pixels")
    world.store.restarts += 1
    world.look(caretaker, 1)
    assert world.store.get(job.id) is None
    assert set(world.blobs.objects) == {layout.tombstone(job.id)}


def test_every_minute_the_order_of_claims_is_mended(world):
    caretaker = world.trusted()
    before = world.store.mended
    world.look(caretaker, 120)
    assert world.store.mended == before + 2
