"""A host that can't do its work: it returns its job, and claims no other until a probe has succeeded."""

import contextlib
import errno
import tempfile

import pytest
import structlog
from structlog.testing import capture_logs

from shared.errors import StorageUnavailable, StoreUnavailable
from shared.jobs.job import JobState
from shared.settings import Settings
from tests.unit.worker.runner_world import World
from worker import images
from worker.host import PROBE_EVERY_S, UNANSWERED_CLAIMS


@pytest.fixture
def world():
    return World()


def test_a_worker_that_never_receives_its_claims_stops_claiming_until_a_probe_succeeds(world):
    # given a worker that can send to Redis, but receives no large response
    jobs = [world.submit() for _ in range(UNANSWERED_CLAIMS + 2)]
    runner, claim, probe = world.runner(), world.store.claim, world.store.probe
    claims = []

    def unanswered(*args, **options):
        claims.append(claim(*args, **options))
        raise StoreUnavailable

    def unavailable():
        raise StoreUnavailable

    world.store.claim, world.store.probe = unanswered, unavailable

    # when it is woken again and again
    for _ in range(10):
        with contextlib.suppress(StoreUnavailable):
            runner.run_next()
        world.clock.time += PROBE_EVERY_S

    # then
    assert len(claims) == UNANSWERED_CLAIMS

    # when its network works again
    world.store.claim, world.store.probe = claim, probe
    assert runner.run_next()

    # then the jobs that it claimed in vain wait for their leases, and nobody has died
    world.clock.time += 1000
    for job in claims:
        world.store.expire_lease(job, max_deaths=1)
    assert [world.job(job.id).state for job in claims] == [JobState.QUEUED] * UNANSWERED_CLAIMS
    assert all(world.job(job.id).deaths == 0 for job in jobs)


def test_a_lost_claim_now_and_then_does_not_stop_a_worker(world):
    runner, claim = world.runner(), world.store.claim
    for _ in range(5):
        world.submit()
        world.submit()

        def unanswered(*args, **options):
            world.store.claim = claim
            claim(*args, **options)
            raise StoreUnavailable

        world.store.claim = unanswered
        with pytest.raises(StoreUnavailable):
            runner.run_next()
        assert runner.run_next()


def test_after_two_leases_without_s3_the_job_goes_back_and_the_worker_waits_for_a_probe(world):
    # given a worker that is cut off from S3 in the middle of a job
    job = world.submit()
    runner = world.runner(lease_s=15)
    world.dreamer.during = lambda _: setattr(world.storage, "available", False)
    began = world.clock.now()

    # when
    runner.run_next()

    # then
    assert (world.job(job.id).state, world.job(job.id).deaths) == (JobState.QUEUED, 0)
    assert 2 * 15 <= world.clock.now() - began < 3 * 15
    assert not runner.run_next()

    # when
    world.storage.available = True
    world.dreamer.during = lambda _: None
    world.clock.time += PROBE_EVERY_S
    runner.run_next()

    # then
    assert world.job(job.id).state is JobState.SUCCEEDED


class FullDisk:
    """A temporary file on a disk without space."""

    def __init__(self, file) -> None:
        self._file = file

    def __getattr__(self, name):
        if name in {"write", "flush"}:
            raise OSError(errno.ENOSPC, "No space left on device")
        return getattr(self._file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()


@pytest.fixture
def full_disk(monkeypatch):
    make = tempfile.TemporaryFile
    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: FullDisk(make()))


@pytest.fixture
def full_disk_at_encoding(monkeypatch):
    encode = images.encode

    def fails(*args, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(images, "encode", fails)
    return encode


@pytest.mark.parametrize("where", ["full_disk", "full_disk_at_encoding"])
def test_a_full_disk_returns_the_job_and_stops_the_worker(world, where, request):
    request.getfixturevalue(where)
    job = world.submit()
    runner = world.runner()

    runner.run_next()

    assert (world.job(job.id).state, world.job(job.id).deaths) == (JobState.QUEUED, 1)
    assert runner.run_next() == (where == "full_disk_at_encoding")  # the probe writes to the disk


def test_a_job_that_fills_every_hosts_disk_fails_with_an_error_of_its_own(world, full_disk_at_encoding):
    job = world.submit()
    for _ in range(Settings().max_deaths):
        world.runner().run_next()

    failed = world.job(job.id)
    assert (failed.state, failed.error.code, failed.error.retryable) == (JobState.FAILED, "local_disk_error", True)


def test_a_probe_needs_s3_too(world):
    runner = world.runner()
    runner._host.suspect("a test")
    world.storage.available = False
    assert not runner.run_next()
    with pytest.raises(StorageUnavailable):
        world.storage.check()


def test_a_settled_job_is_logged_with_its_retry_so_that_two_ends_can_be_told_apart(world):
    job = world.submit()
    world.dreamer.during = lambda _: (_ for _ in ()).throw(MemoryError)
    with capture_logs([structlog.contextvars.merge_contextvars]) as logs:
        world.runner().run_next()
        world.lifecycle.retry(world.job(job.id), now=world.clock.now())
        world.dreamer.during = lambda _: None
        world.runner().run_next()

    ends = [log for log in logs if log["event"] == "job_settled"]
    assert [(end["job_id"], end["retry_count"], end["state"]) for end in ends] == [
        (job.id, 0, JobState.FAILED),
        (job.id, 1, JobState.SUCCEEDED),
    ]
