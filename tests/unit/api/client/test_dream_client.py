import httpx
import pytest

from api.client import DreamClient, Refused, ServerAway
from api.client.responses import MAX_OUTAGE_S
from shared.jobs import JobProgress, JobState
from tests.fakes.clock import FakeClock
from tests.fakes.pictures import a_picture


class Storage(httpx.BaseTransport):
    """Routes API requests to the application, and serves the object storage that it redirects to."""

    def __init__(self, app, world) -> None:
        self.api = httpx.WSGITransport(app)
        self.world = world
        self.available = True

    def handle_request(self, request):
        if not self.available:
            raise httpx.ConnectError("Connection refused")
        if request.url.scheme == "memory":
            key = f"{request.url.host}{request.url.path}"
            return httpx.Response(200, content=self.world.storage.objects[key], request=request)
        return self.api.handle_request(request)


class ScriptedClock(FakeClock):
    """A clock that runs the next step at every sleep."""

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


def test_submit_sends_the_image_the_parameters_and_the_options(client, photo):
    # when
    job = client.submit(photo, {"octaves": 2}, priority="low", deadline_s=90.0)

    # then
    assert (job.state, job.params.octaves, job.priority) == (JobState.QUEUED, 2, "low")
    assert (job.deadline_at - job.created_at).total_seconds() == 90
    assert client.get(job.id) == job
    assert client.list_jobs(states=("queued",)).jobs == (job,)


def test_a_refusal_has_the_servers_problem(client, photo):
    with pytest.raises(Refused, match="did you mean 'block5_expand'") as caught:
        client.submit(photo, {"layers": [{"layer": "block5_expnd"}]})

    assert caught.value.problem.path == "params.layers.0.layer"


def test_wait_reports_every_change_and_returns_the_ended_job(app, world, transport, photo):
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
    with DreamClient("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)

        # when
        ended = client.wait(job.id, changes.append)

    # then
    assert ended.state is JobState.SUCCEEDED
    assert [(change.state, change.progress.fraction) for change in changes] == [
        ("queued", 0), ("running", 0), ("running", 0.5), ("succeeded", 1)
    ]  # fmt: skip


def test_wait_tolerates_a_short_outage(world, transport, photo):
    # given
    def fail():
        transport.available = False

    def recover():
        transport.available = True
        world.end(world.claim(), JobState.FAILED)

    with DreamClient(
        "http://localhost", transport=transport, clock=ScriptedClock(fail, lambda: None, recover)
    ) as client:
        job = client.submit(photo)

        # when, then
        assert client.wait(job.id).state is JobState.FAILED


def test_wait_gives_up_after_a_long_outage(transport, photo):
    # given
    clock = FakeClock()
    with DreamClient("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)
        transport.available = False
        began = clock.now()

        # when
        with pytest.raises(ServerAway):
            client.wait(job.id)

    # then
    assert MAX_OUTAGE_S <= clock.now() - began < MAX_OUTAGE_S + 2


def test_download_follows_the_redirect_to_the_storage(client, photo, world, tmp_path):
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


def test_jobs_can_be_canceled_retried_and_deleted(client, photo, world):
    job = client.submit(photo)
    world.end(world.claim(), JobState.FAILED)

    assert client.retry(job.id).state is JobState.QUEUED
    assert client.cancel(job.id).state is JobState.CANCELED
    client.delete(job.id)
    with pytest.raises(Refused):
        client.get(job.id)


def test_networks_and_layers_are_listed(client):
    model = client.models().models[0]

    assert client.layers(model.name).default_layer == model.default_layer


def test_an_unavailable_server_raises_server_away(client, transport, world):
    # given
    world.store.available = False
    with pytest.raises(ServerAway, match="Redis can't be reached"):
        client.list_jobs()

    # when, then
    transport.available = False
    with pytest.raises(ServerAway, match="Can't reach the server at http://localhost"):
        client.models()


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(502, text="<html>")])
def test_a_foreign_server_raises_server_away(answer):
    with (
        DreamClient("http://other", transport=httpx.MockTransport(lambda _: answer)) as client,
        pytest.raises(ServerAway, match="http://other"),
    ):
        client.models()


class Flaky(httpx.BaseTransport):
    """Refuses the first requests as given, then passes them on."""

    def __init__(self, transport, *refusals) -> None:
        self.transport = transport
        self.refusals = list(refusals)
        self.keys = []

    def handle_request(self, request):
        request.read()
        self.keys.append(request.headers.get("Idempotency-Key"))
        if self.refusals:
            status, headers = self.refusals.pop(0)
            problem = {"type": "x", "title": "x", "status": status, "detail": "wait", "code": "x"}
            return httpx.Response(status, headers=headers, json=problem, request=request)
        return self.transport.handle_request(request)


def test_temporary_refusals_are_retried_after_retry_after_and_create_one_job(transport, photo, world):
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


def test_retries_end_after_five_attempts_with_the_last_refusal(transport, photo):
    flaky = Flaky(transport, *[(429, {"Retry-After": "1"})] * 10)

    with DreamClient("http://localhost", transport=flaky, clock=FakeClock()) as client, pytest.raises(Refused):
        client.submit(photo)
    assert len(flaky.keys) == 5


def test_the_key_is_not_sent_to_the_storage(app, world, photo, tmp_path):
    # given
    sent = {}

    class Spy(Storage):
        def handle_request(self, request):
            sent[request.url.scheme] = request.headers.get("Authorization")
            return super().handle_request(request)

    with DreamClient("http://localhost", key="dream_x_y", transport=Spy(app, world)) as client:
        job = client.submit(photo)
        world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

        # when
        client.download(job.id, tmp_path / "out.png")

    # then
    assert sent == {"http": "Bearer dream_x_y", "memory": None}


def test_an_interrupted_download_resumes(app, world, photo, tmp_path):
    # given storage whose first response breaks off
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


def test_events_continue_after_a_short_outage_until_the_job_ends(transport, world, photo):
    # given
    clock = ScriptedClock(lambda: setattr(transport, "available", True))
    with DreamClient("http://localhost", transport=transport, clock=clock) as client:
        job = client.submit(photo)
        world.subscriptions.steps = [world.claim, lambda: world.end(world.store.jobs[job.id], JobState.FAILED)]
        transport.available = False

        # when
        states = [event.job.state for event in client.events(job.id)]

    # then
    assert states == ["queued", "running", "failed"]


def test_unknown_fields_of_a_newer_server_are_ignored(photo):
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
