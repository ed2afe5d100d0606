"""Event streams of the production server, on a real Redis."""

import io
import json
import socket
from contextlib import ExitStack
from urllib.parse import urlsplit

import httpx
import pytest

from deploy.local import components
from deploy.local.process import Child
from shared.jobs.job import JobProgress, JobState, Outcome
from shared.redis.job_store import RedisJobStore
from tests.fakes.pictures import a_picture
from tests.integration.api.conftest import a_free_port
from tests.waiting import patience_s

STREAMS = 200


class Stream:
    """Reads server-sent events from a plain socket."""

    def __init__(self, url: str, path: str, **headers: str) -> None:
        address = urlsplit(url)
        self.socket = socket.create_connection((address.hostname, address.port), timeout=patience_s())
        lines = [f"GET {path} HTTP/1.0", f"Host: {address.netloc}", *(f"{k}: {v}" for k, v in headers.items())]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.file = self.socket.makefile("rb")
        self.status = int(self.file.readline().split()[1])
        while self.file.readline().strip():
            pass

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()
        self.socket.close()

    def next(self):
        """Returns the next event as (event, id, data); None at the end."""
        fields = {}
        while line := self.file.readline():
            text = line.decode().rstrip("\n")
            if not text and "event" in fields:
                return fields["event"], fields.get("id"), json.loads(fields["data"])
            name, _, value = text.partition(": ")
            fields[name] = value
        return None


@pytest.fixture
def store(settings):
    return RedisJobStore.connect(settings)


@pytest.fixture
def job_id(live, settings):
    answer = httpx.post(f"{live}/v1/jobs", files={"image": ("photo.jpg", io.BytesIO(a_picture()))})
    return answer.json()["id"]


def test_two_hundred_streams_receive_all_events_while_polls_are_served(live, store, job_id):
    with ExitStack() as held:
        # given
        streams = [held.enter_context(Stream(live, f"/v1/jobs/{job_id}/events")) for _ in range(STREAMS)]
        assert {stream.status for stream in streams} == {200}
        assert {stream.next()[2]["state"] for stream in streams} == {"queued"}

        # when
        job = store.claim("worker-1", ["efficientnet-lite0"], lease_s=15)
        running = [stream.next() for stream in streams]
        poll = httpx.get(f"{live}/v1/jobs/{job_id}")
        store.finish(job_id, Outcome(state=JobState.FAILED, finished_at=job.created_at + 1))

        # then
        assert {event[2]["state"] for event in running} == {"running"}
        assert poll.json()["state"] == "running"
        assert {stream.next()[2]["state"] for stream in streams} == {"failed"}
        assert {stream.next() for stream in streams} == {None}


def test_missed_events_are_replayed_first(live, store, job_id):
    # given
    with Stream(live, f"/v1/jobs/{job_id}/events") as stream:
        _, last_id, _ = stream.next()
    job = store.claim("worker-1", ["efficientnet-lite0"], lease_s=15)
    for iteration in (1, 2):
        progress = JobProgress(octaves=1, iteration=iteration, iterations=2, fraction=iteration / 2)
        store.renew(job, lease_s=15, progress=progress)
    store.finish(job_id, Outcome(state=JobState.CANCELED, finished_at=job.created_at + 1))

    # when
    with Stream(live, f"/v1/jobs/{job_id}/events", **{"Last-Event-ID": last_id}) as stream:
        received = []
        while event := stream.next():
            received.append((event[2]["state"], event[2]["progress"]["fraction"]))
            last = event[1]

    # then
    assert received == [("running", 0), ("running", 0.5), ("running", 1), ("canceled", 1)]
    with Stream(live, f"/v1/jobs/{job_id}/events", **{"Last-Event-ID": last}) as stream:
        assert stream.status == 204


def test_a_deleted_jobs_stream_ends(live, store, job_id):
    with Stream(live, f"/v1/jobs/{job_id}/events") as stream:
        stream.next()
        httpx.delete(f"{live}/v1/jobs/{job_id}")

        assert stream.next()[0] == "deleted"
        assert stream.next() is None


def test_a_response_waits_for_the_job_to_end_on_request(live, store, job_id):
    # given
    job = store.claim("worker-1", ["efficientnet-lite0"], lease_s=15)
    with httpx.Client(base_url=live) as client:
        request = client.build_request("GET", f"/v1/jobs/{job_id}", headers={"Prefer": "wait=20"})
        with Stream(live, f"/v1/jobs/{job_id}/events") as stream:
            stream.next()
            store.finish(job_id, Outcome(state=JobState.FAILED, finished_at=job.created_at + 1))
            assert stream.next()[2]["state"] == "failed"

        # when, then
        assert client.send(request).json()["state"] == "failed"


def test_open_streams_do_not_delay_a_stop(services, settings, tmp_path):
    # given
    port = a_free_port()
    env = {
        **components.environment(services.settings),
        "DREAM_STREAM_LIMIT_S": "3600",
        "GUNICORN_CMD_ARGS": "--graceful-timeout 3600",  # far longer than it has until it is killed
    }
    api = Child(components.api(port, env), tmp_path / "api.log")
    try:
        api.wait_until_ready()
        url = f"http://127.0.0.1:{port}"
        submitted = httpx.post(f"{url}/v1/jobs", files={"image": ("photo.jpg", io.BytesIO(a_picture()))}).json()
        with Stream(url, submitted["links"]["events"]) as stream:
            stream.next()

            # when
            api.stop()

            # then
            assert stream.next() is None
            assert api._process.returncode == 0  # it was not killed
    finally:
        api.stop()


def test_a_new_preview_is_an_event(live, store, job_id):
    job = store.claim("worker-1", ["efficientnet-lite0"], lease_s=15)
    with Stream(live, f"/v1/jobs/{job_id}/events") as stream:
        stream.next()

        store.preview_stored(job)

        assert [stream.next()[0] for _ in range(2)] == ["job", "preview"]
