import pytest

from api.client import ServerUnavailable
from api.client.responses import MAX_OUTAGE_S
from shared.jobs.job import JobProgress, JobState
from tests.fakes.client import ScriptedClock
from tests.fakes.clock import FakeClock


def test_wait_reports_every_change_and_returns_the_ended_job(connect, app, world, transport, photo):
    # given a worker that makes progress while the client sleeps
    changes = []
    job = None

    def advance(iteration):
        world.store.renew(
            world.store.jobs[job.id],
            lease_s=15,
            progress=JobProgress(octaves=1, iteration=iteration, iterations=2, fraction=iteration / 2),
        )

    clock = ScriptedClock(
        world.claim,
        lambda: None,
        lambda: advance(1),
        lambda: world.end(world.store.jobs[job.id], JobState.SUCCEEDED),
    )
    with connect("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)

        # when
        ended = client.wait(job.id, changes.append)

    # then
    assert ended.state is JobState.SUCCEEDED
    assert [(change.state, change.progress.fraction) for change in changes] == [
        ("queued", 0), ("running", 0), ("running", 0.5), ("succeeded", 1)
    ]  # fmt: skip


def test_wait_tolerates_a_short_outage(connect, world, transport, photo):
    # given
    def fail():
        transport.available = False

    def recover():
        transport.available = True
        world.end(world.claim(), JobState.FAILED)

    with connect("http://localhost", transport=transport, clock=ScriptedClock(fail, lambda: None, recover)) as client:
        job = client.submit(photo)

        # when, then
        assert client.wait(job.id).state is JobState.FAILED


def test_wait_gives_up_after_a_long_outage(connect, transport, photo):
    # given
    clock = FakeClock()
    with connect("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)
        transport.available = False
        began = clock.now()

        # when
        with pytest.raises(ServerUnavailable):
            client.wait(job.id)

    # then
    assert MAX_OUTAGE_S <= clock.now() - began < MAX_OUTAGE_S + 2


def test_events_continue_after_a_short_outage_until_the_job_ends(connect, transport, world, photo):
    # given
    clock = ScriptedClock(lambda: setattr(transport, "available", True))
    with connect("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)
        world.subscriptions.steps = [world.claim, lambda: world.end(world.store.jobs[job.id], JobState.FAILED)]
        transport.available = False

        # when
        states = [event.job.state for event in client.events(job.id)]

    # then
    assert states == ["queued", "running", "failed"]
