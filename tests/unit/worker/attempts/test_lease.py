"""Tests the renewal of a lease, and the reasons for which an attempt stops."""

import threading

import pytest

from shared.errors import ClaimLost, DeadlineExceeded
from shared.jobs.job import Job, JobState
from shared.s3.job_records import JobRecords
from shared.settings import Settings
from tests.fakes import documents
from tests.fakes.clock import FakeClock
from tests.fakes.job_factory import a_job
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryObjectStorage
from worker.attempts.interrupts import Canceled, Deleted, Drained
from worker.attempts.lease import LeaseKeeper
from worker.dream.progress.observer import EngineProgress

LEASE_S = 15.0


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store, self.storage = MemoryJobStore(self.clock), MemoryObjectStorage()
        self.drain = threading.Event()
        self.deaths = 0

    def lease(self, **fields) -> LeaseKeeper:
        """Returns the keeper of a new claim. Its thread is not started: the test calls `tick`."""
        self.store.create(a_job(**fields))
        self.job = self.store.claim("w", ["efficientnet-lite0"], lease_s=LEASE_S)
        return LeaseKeeper(
            self.job,
            store=self.store,
            records=JobRecords(self.storage),
            clock=self.clock,
            settings=Settings(lease_s=LEASE_S),
            drain=self.drain,
            die=self.die,
        )

    def die(self) -> None:
        self.deaths += 1

    def known(self) -> Job:
        return self.store.get(self.job.id)

    def pass_time(self, lease: LeaseKeeper, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.time += 1
            lease.tick()


@pytest.fixture
def world():
    return World()


def a_mark(done_px, total_px=1000):
    return EngineProgress(octave=1, octaves=3, iteration=2, iterations=10, done_px=done_px, total_px=total_px)


def test_the_lease_is_kept_while_the_work_moves(world):
    lease = world.lease()
    for done in range(120):
        lease.report(a_mark(done))
        world.pass_time(lease, 1)
    assert world.store.expired_leases() == []
    assert world.known().state is JobState.RUNNING


def test_a_hung_phase_ends_its_process_and_a_slow_one_does_not(world):
    lease = world.lease()
    lease.enter("dream", stall_s=600)
    world.pass_time(lease, 590)
    assert world.deaths == 0
    lease.move()
    world.pass_time(lease, 590)
    assert world.deaths == 0
    world.pass_time(lease, 15)
    assert world.deaths > 0


def test_bytes_that_move_are_a_sign_of_life(world):
    lease = world.lease()
    lease.enter("fetch", stall_s=10)
    for _ in range(30):
        lease.touch()
        world.pass_time(lease, 1)
    assert world.deaths == 0


def test_progress_is_published_with_its_pace(world):
    lease = world.lease()
    for done in (0, 100, 200):
        lease.report(a_mark(done))
        world.pass_time(lease, 1)
    shown = world.known().progress
    assert (shown.octave, shown.octaves, shown.iteration, shown.iterations) == (1, 3, 2, 10)
    assert (shown.fraction, shown.pixels_per_second, shown.eta_seconds) == (0.2, 100, 8.0)


def test_nothing_new_is_not_published_again(world):
    lease = world.lease()
    lease.report(a_mark(100))
    lease.tick()
    version = world.known().version
    world.pass_time(lease, 5)
    assert world.known().version == version


def test_a_cancel_is_heard_at_the_next_tick_even_when_nothing_moves(world):
    lease = world.lease()
    lease.tick()
    world.store.cancel(world.job.id, retry_count=0)
    lease.tick()
    with pytest.raises(Canceled):
        lease.report(a_mark(1))


def test_a_lost_claim_is_heard(world):
    lease = world.lease()
    world.store.release(world.job)
    lease.tick()
    with pytest.raises(ClaimLost):
        lease.move()


def test_a_deadline_is_heard(world):
    lease = world.lease(deadline_at=world.clock.now() + 10)
    world.pass_time(lease, 9)
    lease.move()
    world.pass_time(lease, 2)
    with pytest.raises(DeadlineExceeded):
        lease.move()


def test_a_drain_is_heard(world):
    lease = world.lease()
    world.drain.set()
    with pytest.raises(Drained):
        lease.move()


def test_once_the_end_is_decided_neither_cancel_nor_deadline_changes_it(world):
    lease = world.lease(deadline_at=world.clock.now() + 10)
    world.store.cancel(world.job.id, retry_count=0)
    world.pass_time(lease, 11)
    lease.begin_commit(stall_s=300)
    lease.move()
    world.drain.set()
    with pytest.raises(Drained):
        lease.move()


def test_a_wiped_redis_is_waited_for_and_takes_the_claim_back(world):
    lease = world.lease()
    world.store.wipe()
    world.pass_time(lease, 3)
    lease.move()
    world.store.create(a_job(id=world.job.id))
    lease.tick()
    assert (world.known().state, world.known().claim) == (JobState.RUNNING, world.job.claim)


def test_a_deleted_job_is_heard(world):
    lease = world.lease()
    documents.deleted(world.storage, world.job.id)
    world.store.forget(world.job.id)
    lease.tick()
    with pytest.raises(Deleted):
        lease.move()


def test_progress_that_could_not_be_published_is_published_later(world):
    lease = world.lease()
    lease.report(a_mark(500))
    world.store.available = False
    with pytest.raises(Exception, match="Redis"):
        lease.tick()
    world.store.available = True
    lease.tick()
    assert world.known().progress.fraction == 0.5
