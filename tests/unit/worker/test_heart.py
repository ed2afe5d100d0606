"""What keeps an attempt's lease, and what ends it."""

import threading

import pytest

from shared import ledger
from shared.errors import ClaimLost, DeadlineExceeded
from shared.jobs import Job, JobState
from shared.settings import Settings
from tests.twins.blobs import MemoryBlobs
from tests.twins.clock import FakeClock
from tests.twins.jobs import a_job
from tests.twins.store import MemoryStore
from worker.dream.watch import Mark
from worker.heart import Heart
from worker.interrupts import Canceled, Deleted, Drained

LEASE_S = 15.0


class World:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.store, self.blobs = MemoryStore(self.clock), MemoryBlobs()
        self.drain = threading.Event()
        self.deaths = 0

    def heart(self, **fields) -> Heart:
        """Of an attempt that has just claimed its job. Never started: the test ticks it."""
        self.store.create(a_job(**fields))
        self.job = self.store.claim("w", ["efficientnet-lite0"], lease_s=LEASE_S)
        return Heart(
            self.job,
            store=self.store,
            blobs=self.blobs,
            clock=self.clock,
            settings=Settings(lease_s=LEASE_S),
            drain=self.drain,
            die=self.die,
        )

    def die(self) -> None:
        self.deaths += 1

    def known(self) -> Job:
        return self.store.get(self.job.id)

    def pass_time(self, heart: Heart, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.time += 1
            heart.tick()


@pytest.fixture
def world():
    return World()


def a_mark(done_px, total_px=1000):
    return Mark(octave=1, octaves=3, iteration=2, iterations=10, done_px=done_px, total_px=total_px)


def test_the_lease_is_kept_while_the_work_moves(world):
    heart = world.heart()
    for done in range(120):
        heart.mark(a_mark(done))
        world.pass_time(heart, 1)
    assert world.store.lapsed() == []
    assert world.known().state is JobState.RUNNING


def test_a_hung_phase_ends_its_process_and_a_slow_one_does_not(world):
    heart = world.heart()
    heart.enter("dream", stall_s=600)
    world.pass_time(heart, 590)
    assert world.deaths == 0
    heart.move()
    world.pass_time(heart, 590)
    assert world.deaths == 0
    world.pass_time(heart, 15)
    assert world.deaths > 0


def test_bytes_that_move_are_a_sign_of_life(world):
    heart = world.heart()
    heart.enter("fetch", stall_s=10)
    for _ in range(30):
        heart.touch()
        world.pass_time(heart, 1)
    assert world.deaths == 0


def test_progress_is_published_with_its_pace(world):
    heart = world.heart()
    for done in (0, 100, 200):
        heart.mark(a_mark(done))
        world.pass_time(heart, 1)
    shown = world.known().progress
    assert (shown.octave, shown.octaves, shown.iteration, shown.iterations) == (1, 3, 2, 10)
    assert (shown.fraction, shown.pixels_per_second, shown.eta_seconds) == (0.2, 100, 8.0)


def test_nothing_new_is_not_published_again(world):
    heart = world.heart()
    heart.mark(a_mark(100))
    heart.tick()
    version = world.known().version
    world.pass_time(heart, 5)
    assert world.known().version == version


def test_a_cancel_is_heard_at_the_next_tick_even_when_nothing_moves(world):
    heart = world.heart()
    heart.tick()
    world.store.cancel(world.job.id)
    heart.tick()
    with pytest.raises(Canceled):
        heart.mark(a_mark(1))


def test_a_lost_claim_is_heard(world):
    heart = world.heart()
    world.store.release(world.job)
    heart.tick()
    with pytest.raises(ClaimLost):
        heart.move()


def test_a_deadline_is_heard(world):
    heart = world.heart(deadline_at=world.clock.now() + 10)
    world.pass_time(heart, 9)
    heart.move()
    world.pass_time(heart, 2)
    with pytest.raises(DeadlineExceeded):
        heart.move()


def test_a_drain_is_heard(world):
    heart = world.heart()
    world.drain.set()
    with pytest.raises(Drained):
        heart.move()


def test_once_the_end_is_decided_neither_cancel_nor_deadline_changes_it(world):
    heart = world.heart(deadline_at=world.clock.now() + 10)
    world.store.cancel(world.job.id)
    world.pass_time(heart, 11)
    heart.commit(stall_s=300)
    heart.move()
    world.drain.set()
    with pytest.raises(Drained):
        heart.move()


def test_a_wiped_redis_is_waited_for_and_takes_the_claim_back(world):
    heart = world.heart()
    world.store.wipe()
    world.pass_time(heart, 3)
    heart.move()
    world.store.create(a_job(id=world.job.id))
    heart.tick()
    assert (world.known().state, world.known().claim) == (JobState.RUNNING, world.job.claim)


def test_a_deleted_job_is_heard(world):
    heart = world.heart()
    ledger.erase(world.blobs, world.job.id)
    world.store.forget(world.job.id)
    heart.tick()
    with pytest.raises(Deleted):
        heart.move()


def test_progress_that_could_not_be_published_is_published_later(world):
    heart = world.heart()
    heart.mark(a_mark(500))
    world.store.available = False
    with pytest.raises(Exception, match="Redis"):
        heart.tick()
    world.store.available = True
    heart.tick()
    assert world.known().progress.fraction == 0.5
