"""The whole service on Redis behind Sentinel: the master dies in the middle of three jobs."""

import hashlib

import pytest

from api.client.dream_client import DreamClient
from deploy.local.stack import Stack
from shared.jobs.job import JobState
from shared.settings import Settings
from tests.e2e.test_dreams import wait_until
from tests.fakes.pictures import a_picture
from tests.fakes.sentinel import SentinelFleet

SLOW = {"octaves": 2, "iterations": 60, "seed": 7}


@pytest.fixture
def fleet(tmp_path):
    running = SentinelFleet(tmp_path / "sentinel")
    try:
        running.start()
        yield running
    finally:
        running.stop()


@pytest.fixture
def stack(fleet, tmp_path):
    settings = Settings(redis_url=fleet.url)
    running = Stack(tmp_path / "stack", workers=2, settings=settings, embed={"s3"})
    running.start()
    yield running
    running.stop()


def test_jobs_survive_the_death_of_the_master(fleet, stack, tmp_path):
    # given three jobs, two of them running, and replicas that follow
    photograph = tmp_path / "photo.jpg"
    photograph.write_bytes(a_picture(width=320, height=240))
    with DreamClient(stack.api_url) as client:
        wait_until(lambda: fleet.replicas_in_sync() == 2)
        jobs = [client.submit(photograph, SLOW) for _ in range(3)]
        wait_until(lambda: client.get(jobs[0].id).progress.fraction > 0)
        dead = fleet.master_port()

        # when the master is killed
        fleet.kill_master()

        # then every job ends once, all with the same bytes, on another master
        ended = [client.wait(job.id) for job in jobs]
        assert [job.state for job in ended] == [JobState.SUCCEEDED] * 3
        assert fleet.master_port() != dead
        digests = set()
        for job in ended:
            client.download(job.id, tmp_path / job.id)
            digests.add(hashlib.sha256((tmp_path / job.id).read_bytes()).hexdigest())
        assert len(digests) == 1
        # and a job that is submitted now runs as well
        assert client.wait(client.submit(photograph, SLOW | {"iterations": 2}).id).state is JobState.SUCCEEDED
