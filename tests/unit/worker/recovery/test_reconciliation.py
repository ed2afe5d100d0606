"""Rebuilding a wiped Redis: many jobs at a time, each available at once, whatever fails on the way."""

import random
import threading
from collections import Counter

import pytest
from structlog.testing import capture_logs

from shared.errors import StorageUnavailable
from shared.jobs.job import JobState
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from shared.settings import Settings
from tests.fakes import documents
from tests.fakes.clock import FakeClock
from tests.fakes.job_factory import a_manifest
from tests.fakes.job_store import MemoryJobStore
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from worker.recovery.caretaker import Caretaker
from worker.recovery.reconciliation import AT_ONCE, FAILURES, Reconciliation

JOBS = 300
LITE0 = "efficientnet-lite0"


class Serialized:
    """Passes calls on one at a time, because the fakes are not thread-safe; `before` runs outside of the lock."""

    def __init__(self, service, lock) -> None:
        self._service, self._lock = service, lock
        self.before = lambda name, first: None

    def __getattr__(self, name):
        def call(*args, **options):
            self.before(name, args[0] if args else "")
            with self._lock:
                return getattr(self._service, name)(*args, **options)

        return call


class World:
    def __init__(self) -> None:
        lock = threading.RLock()
        self.clock = FakeClock()
        self.redis, self.s3 = MemoryJobStore(self.clock), MemoryObjectStorage(self.clock)
        self.store, self.storage = Serialized(self.redis, lock), Serialized(self.s3, lock)
        self.notifier = MemoryNotifier()
        services = {"storage": self.storage, "store": self.store, "notifier": self.notifier, "clock": self.clock}
        self.caretaker = Caretaker(**services, settings=Settings(lease_s=15, reconcile_interval_s=60))
        lifecycle = JobLifecycle(self.storage, self.store, self.notifier)
        self.reconciliation = Reconciliation(lifecycle=lifecycle, **services)
        self.ids = [documents.accepted(self.s3, a_manifest()).id for _ in range(JOBS)]

    def rebuilt(self) -> int:
        return sum(job.state is JobState.QUEUED for job in self.redis.jobs.values())


@pytest.fixture
def world():
    return World()


def failing(share: float):
    """Returns a fault: that share of the calls for jobs' objects fails, always the same ones."""
    times: Counter[tuple[str, str]] = Counter()

    def before(name, key):
        times[name, str(key)] += 1
        if str(key).startswith((object_keys.JOBS, object_keys.DELETED)):
            draw = random.Random(f"{name} {key} {times[name, str(key)]}").random()
            if draw < share:
                raise StorageUnavailable

    return before


def test_with_a_fifth_of_the_calls_failing_every_job_is_rebuilt_and_most_of_them_soon(world):
    # given
    world.storage.before = failing(0.2)

    # when
    with capture_logs() as logs:
        world.caretaker.run_round()

    # then a job that fails does not keep the others waiting, and the rebuild is known to be incomplete
    completed = next(log for log in logs if log["event"] == "reconciliation_completed")
    assert completed["restored"] >= JOBS / 3
    assert completed["skipped"] == JOBS - completed["restored"] > 0
    assert world.rebuilt() < JOBS
    assert world.redis.generation() is None

    # when it goes on in the next rounds
    for _ in range(30):
        world.caretaker.run_round()

    # then
    assert world.rebuilt() == JOBS
    assert world.redis.generation() is not None


def test_a_second_wipe_during_the_rebuild_is_noticed_and_the_rebuild_starts_over(world):
    # given a Redis that is wiped once more when half of the jobs are there
    reads = iter(range(JOBS * 10))

    def wipe_midway(name, key):
        if name == "get" and str(key).endswith("manifest.json") and next(reads) == JOBS // 2:
            world.redis.wipe()

    world.storage.before = wipe_midway

    # when, then
    world.caretaker.run_round()
    assert 0 < world.rebuilt() < JOBS
    assert world.redis.generation() is None
    world.caretaker.run_round()
    assert world.rebuilt() == JOBS
    assert world.redis.generation() is not None


def test_a_job_can_be_claimed_as_soon_as_it_is_restored(world):
    # given a worker that looks for work as soon as it is woken
    reads, claimed = iter(range(JOBS * 10)), []

    def look(name, key):
        if name == "get" and next(reads) == 3 * AT_ONCE:
            claimed.append((world.notifier.wake_ups, world.store.claim("w", [LITE0], lease_s=10)))

    world.storage.before = look

    # when
    next(world.reconciliation.run())

    # then it has been woken, and has one of the first jobs, long before the rebuild ends
    ((wake_ups, job),) = claimed
    assert wake_ups >= 1
    assert job.id in world.ids[: 4 * AT_ONCE]


def test_many_jobs_are_restored_at_the_same_time(world):
    together = threading.Barrier(16, timeout=5)
    reads = iter(range(JOBS * 10))

    def meet(name, _):
        if name == "get" and next(reads) < 16:
            together.wait()

    world.storage.before = meet
    world.caretaker.run_round()

    assert not together.broken
    assert world.rebuilt() == JOBS


def test_a_storage_that_always_fails_is_not_asked_for_every_job(world):
    asked = []

    def fail(name, key):
        if str(key).startswith(object_keys.JOBS):
            asked.append(key)
            raise StorageUnavailable

    world.storage.before = fail

    with pytest.raises(StorageUnavailable):
        list(world.reconciliation.run())
    assert len(set(asked)) < FAILURES + 128


def test_what_is_pending_and_is_not_a_job_is_no_longer_pending(world):
    # given a deleted job and a submission that was given up, whose `pending` arrived late
    deleted, given_up = a_manifest(), a_manifest()
    documents.deleted(world.s3, deleted.id)
    documents.given_up(world.s3, given_up.id)
    for manifest in (deleted, given_up):
        documents.pending(world.s3, manifest.id, 0)

    list(world.reconciliation.run())

    left = {object_keys.parse_pending(key)[0] for key in world.s3.keys(object_keys.PENDING)}
    assert left == set(world.ids)
