import httpx
import pytest

from api.client import Refused, ServerUnavailable
from shared.jobs.job import JobState
from tests.fakes.client import ApplicationTransport
from tests.fakes.clock import FakeClock


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


def test_an_unavailable_server_raises_server_unavailable(client, transport, world):
    # given
    world.store.available = False
    with pytest.raises(ServerUnavailable, match="Redis can't be reached"):
        client.list_jobs()

    # when, then
    transport.available = False
    with pytest.raises(ServerUnavailable, match="Can't reach the server at http://localhost"):
        client.models()


@pytest.mark.parametrize("answer", [httpx.Response(200, text="<html>"), httpx.Response(502, text="<html>")])
def test_a_foreign_server_raises_server_unavailable(connect, answer):
    with (
        connect("http://other", transport=httpx.MockTransport(lambda _: answer)) as client,
        pytest.raises(ServerUnavailable, match="http://other"),
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


def test_temporary_refusals_are_retried_after_retry_after_and_create_one_job(connect, transport, photo, world):
    # given
    clock = FakeClock()
    flaky = Flaky(transport, (429, {"Retry-After": "7"}), (503, {}))
    began = clock.now()

    # when
    with connect("http://localhost", transport=flaky, clock=clock) as client:
        client.submit(photo)

    # then
    assert 7 < clock.now() - began < 10
    assert len(set(flaky.keys)) == 1
    assert len(world.store.jobs) == 1


def test_retries_end_after_five_attempts_with_the_last_refusal(connect, transport, photo):
    flaky = Flaky(transport, *[(429, {"Retry-After": "1"})] * 10)

    with connect("http://localhost", transport=flaky, clock=FakeClock()) as client, pytest.raises(Refused):
        client.submit(photo)
    assert len(flaky.keys) == 5


def test_the_key_is_not_sent_to_the_storage(connect, app, world, photo, tmp_path):
    # given
    sent = {}

    class Spy(ApplicationTransport):
        def handle_request(self, request):
            sent[request.url.scheme] = request.headers.get("Authorization")
            return super().handle_request(request)

    with connect("http://localhost", key="dream_x_y", transport=Spy(app, world)) as client:
        job = client.submit(photo)
        world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

        # when
        client.download(job.id, tmp_path / "out.png")

    # then
    assert sent == {"http": "Bearer dream_x_y", "memory": None}


def test_unknown_fields_of_a_newer_server_are_ignored(connect, photo):
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
    with connect("http://localhost", transport=server) as client:
        job = client.get("x")

    # then
    assert job.params.octaves == 3


def test_a_job_can_be_renamed(client, photo):
    job = client.submit(photo)

    assert job.name == "photo.jpg"
    assert client.rename(job.id, "Miezi").name == "Miezi"
    assert client.rename(job.id, None).name is None
