"""One large dream on two real workers, which die in the middle of it: always the same bytes."""

import hashlib

import pytest

from api.client.dream_client import DreamClient
from deploy.local.stack import Stack
from deploy.local.time_limit import TimeLimit
from shared.jobs.job import JobState
from tests.fakes.pictures import a_picture
from tests.waiting import PATIENCE_S, wait_until

WORKERS = ("worker-1", "worker-2")
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
    for name in WORKERS:
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


def shared(client, fleet, photograph, params):
    """Submits dreams until a helper has begun to compute tiles of one. Returns its job, the coordinator and the helper.

    A helper that would not save time, as on a busy machine, is not asked: the dream then ends without one.
    """
    limit = TimeLimit(PATIENCE_S)
    while not limit.is_over():
        before = tiles_of_helpers(fleet)
        job = client.submit(photograph, params)

        def begun(before=before):
            return next((name for name, tiles in tiles_of_helpers(fleet).items() if tiles > before[name]), None)

        wait_until(
            lambda job=job, begun=begun: begun() or client.get(job.id).state.is_terminal, what="a tile or the end"
        )
        helper = begun()
        if helper and not client.get(job.id).state.is_terminal:
            (coordinator,) = set(WORKERS) - {helper}
            return job, coordinator, helper
    raise AssertionError("No dream had a helper.")


def tiles_of_helpers(fleet):
    """Returns how many tiles each worker has received from the other one."""
    return {name: fleet.children[name].log.read_text().count("compute_tile") for name in WORKERS}


def test_an_idle_worker_helps_and_the_bytes_stay_the_same(fleet, alone, client, photograph, tmp_path):
    job, _, _ = shared(client, fleet, photograph, LARGE)
    found, report = ended(client, job, tmp_path)
    assert found == alone
    assert sum(report["helpers"].values()) > 0


def test_a_helper_that_is_killed_costs_nothing_but_time(fleet, alone, client, photograph, tmp_path):
    job, _, helper = shared(client, fleet, photograph, LARGE)

    fleet.kill_component(helper)

    found, _ = ended(client, job, tmp_path)
    assert found == alone
    assert client.get(job.id).attempt == 1


def test_a_coordinator_that_is_killed_is_replaced_by_its_helper(fleet, alone, client, photograph, tmp_path):
    job, coordinator, _ = shared(client, fleet, photograph, LARGE)

    fleet.kill_component(coordinator)

    found, _ = ended(client, job, tmp_path)
    assert found == alone
    assert client.get(job.id).attempt == 2


def test_a_small_job_does_not_wait_for_a_large_one_that_is_shared(fleet, client, photograph, tmp_path):
    large, _, _ = shared(client, fleet, photograph, LARGE | {"iterations": 30})
    small = tmp_path / "small.jpg"
    small.write_bytes(a_picture(width=160, height=120))

    ended(client, client.submit(small, {"octaves": 1, "iterations": 1}), tmp_path)

    assert client.get(large.id).state is JobState.RUNNING
    client.cancel(large.id)
    wait_until(lambda: client.get(large.id).state.is_terminal, what="the cancel")
