import httpx
import pytest

from api.client.dream_client import PATIENCE_S, DreamClient, Refused, ServerAway
from shared.jobs import JobProgress, JobState
from tests.fakes.clock import FakeClock
from tests.fakes.pictures import a_picture


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
            return httpx.Response(200, content=self.world.storage.objects[key], request=request)
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
            progress=JobProgress(octaves=1, iteration=iteration, iterations=2, fraction=iteration / 2),
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


class Flaky(httpx.BaseTransport):
    """Refuses the first requests as it is told, then lets them through."""

    def __init__(self, through, *refusals) -> None:
        self.through = through
        self.refusals = list(refusals)
        self.keys = []

    def handle_request(self, request):
        request.read()
        self.keys.append(request.headers.get("Idempotency-Key"))
        if self.refusals:
            status, headers = self.refusals.pop(0)
            problem = {"type": "x", "title": "x", "status": status, "detail": "wait", "code": "x"}
            return httpx.Response(status, headers=headers, json=problem, request=request)
        return self.through.handle_request(request)


def test_what_passes_by_itself_is_sent_again_when_the_server_says_and_makes_one_job(transport, photo, world):
    # given
    clock = FakeClock()
    flaky = Flaky(transport, (429, {"Retry-After": "7"}), (503, {}))
    began = clock.now()

    # when
    with DreamClient("http://localhost", transport=flaky, clock=clock) as client:
        client.submit(photo)

    # then
    assert 7 < clock.now() - began < 10
    assert len(set(flaky.keys)) == 1
    assert len(world.store.jobs) == 1


def test_a_server_that_goes_on_refusing_is_said_so(transport, photo):
    flaky = Flaky(transport, *[(429, {"Retry-After": "1"})] * 10)

    with DreamClient("http://localhost", transport=flaky, clock=FakeClock()) as client, pytest.raises(Refused):
        client.submit(photo)
    assert len(flaky.keys) == 5


def test_the_key_is_sent_to_the_server_and_not_to_the_storage(app, world, photo, tmp_path):
    # given
    seen = {}

    class Spy(Storage):
        def handle_request(self, request):
            seen[request.url.scheme] = request.headers.get("Authorization")
            return super().handle_request(request)

    with DreamClient("http://localhost", key="dream_x_y", transport=Spy(app, world)) as client:
        job = client.submit(photo)
        world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

        # when
        client.download(job.id, tmp_path / "out.png")

    # then
    assert seen == {"http": "Bearer dream_x_y", "memory": None}


def test_a_download_that_broke_off_goes_on_where_it_was(app, world, photo, tmp_path):
    # given storage whose first answer breaks off
    content = bytes(range(256)) * 40
    ranges = []

    class Breaking(Storage):
        def handle_request(self, request):
            if request.url.scheme != "memory":
                return self.api.handle_request(request)
            ranges.append(request.headers.get("Range"))
            if len(ranges) == 1:

                def half():
                    yield content[:5000]
                    raise httpx.ReadError("broken")

                return httpx.Response(200, content=half(), request=request)
            start = int(ranges[-1].removeprefix("bytes=").rstrip("-"))
            return httpx.Response(206, content=content[start:], request=request)

    with DreamClient("http://localhost", transport=Breaking(app, world), clock=FakeClock()) as client:
        job = client.submit(photo)
        world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

        # when
        client.download(job.id, tmp_path / "out.png")

    # then
    assert (tmp_path / "out.png").read_bytes() == content
    assert ranges == [None, "bytes=5000-"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.jpg"]


def test_events_are_read_until_the_end_over_a_server_that_is_away_for_a_moment(transport, world, photo):
    # given
    clock = Worker(lambda: setattr(transport, "away", False))
    with DreamClient("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)
        world.subscriptions.steps = [world.claim, lambda: world.end(world.store.jobs[job.id], JobState.FAILED)]
        transport.away = True

        # when
        states = [event.job.state for event in client.events(job.id)]

    # then
    assert states == ["queued", "running", "failed"]


def test_a_newer_servers_parameters_and_fields_are_let_pass(photo):
    # given
    newer = {
        "id": "x", "kind": "dream", "state": "queued", "priority": "normal", "params": {"octaves": 3, "sparkle": 0.5},
        "input": {"format": "png", "width": 1, "height": 1, "size_bytes": 1},
        "progress": {"fraction": 0, "mood": "good"},
        "queue_position": 0, "attempt": 0, "created_at": "2026-01-01T00:00:00Z", "started_at": None,
        "finished_at": None, "deadline_at": None, "error": None, "links": {"self": "/x"}, "weather": "fine",
    }  # fmt: skip
    server = httpx.MockTransport(lambda request: httpx.Response(200, json=newer))

    # when
    with DreamClient("http://localhost", transport=server) as client:
        job = client.get("x")

    # then
    assert job.params.octaves == 3
