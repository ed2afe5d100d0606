"""One large dream on two real workers, which die in the middle of it: always the same bytes."""

import hashlib

import pytest

from api.client.dream_client import DreamClient
from deploy.local.stack import Stack
from shared.jobs.job import JobState
from shared.redis.job_store import RedisJobStore
from tests.fakes.pictures import a_picture
from tests.waiting import wait_until

# An octave of some twenty tiles, which take a helper longer to compute than to receive.
LARGE = {"octaves": 1, "iterations": 6, "tile_size": 384, "seed": 7}


@pytest.fixture(scope="module")
def fleet(redis_and_s3, tmp_path_factory):
    running = Stack(tmp_path_factory.mktemp("fleet"), workers=2, env={"DREAM_LEASE_S": "3"})
    running.start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def photograph(tmp_path_factory):
    path = tmp_path_factory.mktemp("photograph") / "photo.jpg"
    path.write_bytes(a_picture(width=1600, height=1200))
    return path


@pytest.fixture
def client(fleet):
    for name in ("worker-1", "worker-2"):
        if not fleet.children[name].is_alive:
            fleet.start_component(name)
    with DreamClient(fleet.api_url) as client:
        yield client


@pytest.fixture(scope="module")
def alone(fleet, photograph, tmp_path_factory):
    """The checksum of the dream of a single worker."""
    fleet.stop_component("worker-2")
    with DreamClient(fleet.api_url) as client:
        found, report = ended(client, client.submit(photograph, LARGE), tmp_path_factory.mktemp("alone"))
    assert not report["helpers"]
    return found


def ended(client, job, folder):
    """Waits for the job. Returns its result's checksum and its report."""
    done = client.wait(job.id)
    assert done.state is JobState.SUCCEEDED, done.error
    path = client.download(job.id, folder / job.id)
    return hashlib.sha256(path.read_bytes()).hexdigest(), client.report(job.id)


def coordinator_and_helper(fleet, job):
    """Waits until a helper has begun to compute tiles of the job. Returns both workers' names."""
    store = RedisJobStore.connect(fleet.settings)

    def coordinator():
        return next((worker.name for worker in store.workers() if worker.job_id == job.id), None)

    wait_until(coordinator, what="the coordinator")
    found = coordinator().split("@")[0]
    helper = {"worker-1": "worker-2", "worker-2": "worker-1"}[found]
    log, before = fleet.children[helper].log, fleet.children[helper].log.read_text().count("compute_tile")
    wait_until(lambda: log.read_text().count("compute_tile") > before, what="a tile at the helper")
    return found, helper


def test_an_idle_worker_helps_and_the_bytes_stay_the_same(fleet, alone, client, photograph, tmp_path):
    found, report = ended(client, client.submit(photograph, LARGE), tmp_path)
    assert found == alone
    assert sum(report["helpers"].values()) > 0


def test_a_helper_that_is_killed_costs_nothing_but_time(fleet, alone, client, photograph, tmp_path):
    job = client.submit(photograph, LARGE)
    _, helper = coordinator_and_helper(fleet, job)

    fleet.kill_component(helper)

    found, _ = ended(client, job, tmp_path)
    assert found == alone
    assert client.get(job.id).attempt == 1


def test_a_coordinator_that_is_killed_is_replaced_by_its_helper(fleet, alone, client, photograph, tmp_path):
    job = client.submit(photograph, LARGE)
    coordinator, _ = coordinator_and_helper(fleet, job)

    fleet.kill_component(coordinator)

    found, _ = ended(client, job, tmp_path)
    assert found == alone
    assert client.get(job.id).attempt == 2


def test_a_small_job_does_not_wait_for_a_large_one_that_is_shared(fleet, client, photograph, tmp_path):
    large = client.submit(photograph, LARGE | {"iterations": 30})
    coordinator_and_helper(fleet, large)
    small = tmp_path / "small.jpg"
    small.write_bytes(a_picture(width=160, height=120))

    ended(client, client.submit(small, {"octaves": 1, "iterations": 1}), tmp_path)

    assert client.get(large.id).state is JobState.RUNNING
    client.cancel(large.id)
    wait_until(lambda: client.get(large.id).state.is_terminal, what="the cancel")
