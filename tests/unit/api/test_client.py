import httpx
import pytest

from api.client import PATIENCE_S, DreamClient, Refused, ServerAway
from shared.jobs import JobState, Progress
from tests.twins.clock import FakeClock
from tests.unit.api.pictures import a_picture


class Storage(httpx.BaseTransport):
    """Sends what goes to the api to the application, and plays the object storage behind its redirects."""

    def __init__(self, app, world) -> None:
        self.api = httpx.WSGITransport(app)
        self.world = world
        self.away = False

    def handle_request(self, request):
        if self.away:
            raise httpx.ConnectError("Connection refused")
        if request.url.scheme == "memory":
            key = f"{request.url.host}{request.url.path}"
            return httpx.Response(200, content=self.world.blobs.objects[key], request=request)
        return self.api.handle_request(request)


class Worker(FakeClock):
    """A clock on which something happens at every sleep."""

    def __init__(self, *steps) -> None:
        super().__init__()
        self.steps = list(steps)

    def sleep(self, seconds):
        super().sleep(seconds)
        if self.steps:
            self.steps.pop(0)()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(a_picture())
    return path


@pytest.fixture
def transport(app, world):
    return Storage(app, world)


@pytest.fixture
def client(transport):
    with DreamClient("http://localhost", transport=transport) as client:
        yield client


def test_submits_a_picture_with_its_parameters(client, photo):
    # when
    job = client.submit(photo, {"octaves": 2}, priority="low", deadline_s=90.0)

    # then
    assert (job.state, job.params.octaves, job.priority) == (JobState.QUEUED, 2, "low")
    assert (job.deadline_at - job.created_at).total_seconds() == 90
    assert client.get(job.id) == job
    assert client.list_jobs(states=("queued",)).jobs == (job,)


def test_a_refusal_carries_the_servers_problem(client, photo):
    with pytest.raises(Refused, match="did you mean 'block5_expand'") as caught:
        client.submit(photo, {"layers": [{"layer": "block5_expnd"}]})

    assert caught.value.problem.path == "params.layers.0.layer"


def test_waiting_hears_of_every_change_and_ends_with_the_job(app, world, transport, photo):
    # given a worker that gets further while the client sleeps
    heard = []
    job = None

    def advance(iteration):
        world.store.renew(
            world.store.jobs[job.id],
            lease_s=15,
            progress=Progress(octaves=1, iteration=iteration, iterations=2, fraction=iteration / 2),
        )

    clock = Worker(
        world.claim,
        lambda: None,
        lambda: advance(1),
        lambda: world.end(world.store.jobs[job.id], JobState.SUCCEEDED),
    )
    with DreamClient("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)

        # when
        ended = client.wait(job.id, heard.append)

    # then
    assert ended.state is JobState.SUCCEEDED
    assert [(seen.state, seen.progress.fraction) for seen in heard] == [
        ("queued", 0), ("running", 0), ("running", 0.5), ("succeeded", 1)
    ]  # fmt: skip


def test_waiting_outlasts_a_server_that_is_away_for_a_moment(world, transport, photo):
    # given
    def leave():
        transport.away = True

    def return_():
        transport.away = False
        world.end(world.claim(), JobState.FAILED)

    with DreamClient("http://localhost", transport=transport, clock=Worker(leave, lambda: None, return_)) as client:
        job = client.submit(photo)

        # when, then
        assert client.wait(job.id).state is JobState.FAILED


def test_waiting_gives_up_on_a_server_that_stays_away(transport, photo):
    # given
    clock = FakeClock()
    with DreamClient("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)
        transport.away = True
        began = clock.now()

        # when
        with pytest.raises(ServerAway):
            client.wait(job.id)

    # then
    assert PATIENCE_S <= clock.now() - began < PATIENCE_S + 2


def test_downloads_the_dream_from_where_the_server_points(client, photo, world, tmp_path):
    # given
    job = client.submit(photo)
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png" * 1000)

    # when
    client.download(job.id, tmp_path / "out.png")

    # then
    assert (tmp_path / "out.png").read_bytes() == b"png" * 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.jpg"]


def test_a_refused_download_leaves_no_file(client, photo, tmp_path):
    job = client.submit(photo)

    with pytest.raises(Refused, match="no result yet"):
        client.download(job.id, tmp_path / "out.png")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_cancels_retries_and_deletes(client, photo, world):
    job = client.submit(photo)
    world.end(world.claim(), JobState.FAILED)

    assert client.retry(job.id).state is JobState.QUEUED
    assert client.cancel(job.id).state is JobState.CANCELED
    client.delete(job.id)
    with pytest.raises(Refused):
        client.get(job.id)


def test_lists_networks_and_layers(client):
    model = client.models().models[0]

    assert client.layers(model.name).default_layer == model.default_layer


def test_a_server_that_is_away_is_said_in_a_sentence(client, transport, world):
    # given
    world.store.available = False
    with pytest.raises(ServerAway, match="Redis can't be reached"):
        client.list_jobs()

    # when, then
    transport.away = True
    with pytest.raises(ServerAway, match="no server at http://localhost"):
        client.models()


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(502, text="<html>")])
def test_some_other_server_is_said_in_a_sentence(answer):
    with (
        DreamClient("http://other", transport=httpx.MockTransport(lambda _: answer)) as client,
        pytest.raises(ServerAway, match="http://other"),
    ):
        client.models()
