"""`client.dream` submits, waits and returns the picture."""

import pytest

from api.client import JobFailed, Refused
from shared.errors import InvalidField
from shared.jobs.job import JobError, JobState
from tests.fakes.client import ScriptedClock


@pytest.fixture
def worker(world):
    """Ends the next job with the given state at the client's first sleep."""

    def ends_as(state, **changes):
        def end():
            job = world.end(world.claim(), state, **({"result_png": b"png"} if state is JobState.SUCCEEDED else {}))
            world.edit(job, **changes)

        return ScriptedClock(end)

    return ends_as


def test_dream_returns_the_pictures_bytes(connect, transport, photo, world, worker):
    changes = []

    with connect("http://localhost", transport=transport, clock=worker(JobState.SUCCEEDED)) as client:
        picture = client.dream(str(photo), {"octaves": 2}, look="eyes", priority="low", on_change=changes.append)

    (job,) = world.store.jobs.values()
    assert picture == b"png"
    assert (job.params.octaves, job.params.layers[0].layer, job.priority) == (2, "block9", "low")
    assert [change.state for change in changes] == ["queued", "succeeded"]


def test_a_failed_job_raises_its_message(connect, transport, photo, worker):
    clock = worker(JobState.FAILED, error=JobError(code="x", message="It was too large."))

    with (
        connect("http://localhost", transport=transport, clock=clock) as client,
        pytest.raises(JobFailed, match="It was too large"),
    ):
        client.dream(photo)


def test_a_canceled_job_raises_too(connect, transport, photo, worker):
    with (
        connect("http://localhost", transport=transport, clock=worker(JobState.CANCELED)) as client,
        pytest.raises(JobFailed, match="ended as canceled") as caught,
    ):
        client.dream(photo)

    assert caught.value.job.state is JobState.CANCELED


def test_an_unknown_look_submits_nothing_and_lists_the_looks(client, photo, world):
    with pytest.raises(InvalidField, match=r"Unknown look 'ears'; choose one of animals, .*eyes"):
        client.dream(photo, look="ears")

    assert not world.store.jobs


def test_a_refused_dream_raises_the_refusal(client, photo):
    with pytest.raises(Refused, match="unknown layer"):
        client.dream(photo, {"layers": [{"layer": "nothing at all"}]})


def test_every_path_can_be_a_string(client, photo, world, tmp_path):
    job = client.submit(str(photo), guide=str(photo), mask=str(photo))
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

    client.download(job.id, str(tmp_path / "out.png"))

    assert (tmp_path / "out.png").read_bytes() == b"png"
