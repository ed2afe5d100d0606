import json

import pytest

from shared.interfaces import WorkerInfo
from shared.jobs.job import JobProgress, JobState


@pytest.fixture
def events(http):
    """Reads a whole stream; returns the response and its events as (event, id, data)."""

    def read(address, **headers):
        response = http.get(address, headers=headers)
        received = []
        for block in response.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in fields:
                received.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
        return response, received

    return read


def advance(world, fraction):
    job = next(iter(world.store.jobs.values()))
    world.store.renew(job, lease_s=15, progress=JobProgress(octaves=1, iterations=2, fraction=fraction))


def test_a_stream_sends_the_job_at_once_and_every_change_until_it_ends(submit, events, world):
    # given
    address = submit().json["links"]["events"]
    world.subscriptions.steps = [
        world.claim,
        lambda: advance(world, 0.5),
        lambda: world.end(next(iter(world.store.jobs.values())), JobState.SUCCEEDED),
    ]

    # when
    response, received = events(address)

    # then
    assert response.mimetype == "text/event-stream"
    assert response.headers["Cache-Control"] == "no-store"
    assert [(data["state"], data["progress"]["fraction"]) for _, _, data in received] == [
        ("queued", 0), ("running", 0), ("running", 0.5), ("succeeded", 1)
    ]  # fmt: skip
    assert world.subscriptions.watching == 0


def test_missed_events_are_replayed_first(submit, events, world):
    # given
    address = submit().json["links"]["events"]
    last_id = str(next(iter(world.store.jobs.values())).version)
    job = world.claim()
    advance(world, 0.5)
    world.end(job, JobState.FAILED)

    # when
    _, received = events(address, **{"Last-Event-ID": last_id})

    # then
    assert [(data["state"], data["finished_at"] is None) for _, _, data in received] == [
        ("running", True), ("running", True), ("failed", False)
    ]  # fmt: skip
    response, _ = events(address, **{"Last-Event-ID": received[-1][1]})
    assert response.status_code == 204


@pytest.mark.parametrize("invalid", ["x", "-1", "1" * 30, "99999999999999"])
def test_an_invalid_event_id_starts_a_new_stream(submit, events, world, invalid):
    address = submit().json["links"]["events"]

    _, received = events(address, **{"Last-Event-ID": invalid})

    assert received[0][2]["state"] == "queued"


def test_a_new_preview_is_an_event(submit, events, world):
    # given
    address = submit().json["links"]["events"]

    def preview():
        job = next(iter(world.store.jobs.values()))
        world.store.note(world.edit(job, version=job.version + 1), preview=True)

    world.subscriptions.steps = [world.claim, preview]

    # when
    _, received = events(address)

    # then
    assert [event for event, _, _ in received] == ["job", "job", "job", "preview"]


def test_deleting_the_job_is_an_event_and_ends_the_stream(submit, events, world):
    job = submit().json
    world.subscriptions.steps = [lambda: world.service.delete("local", job["id"])]

    _, received = events(job["links"]["events"])

    assert [event for event, _, _ in received] == ["job", "deleted"]


def test_a_stream_survives_an_outage_of_redis_and_sends_keepalives(submit, http, world):
    # given
    address = submit().json["links"]["events"]

    def fail():
        world.store.available = False

    def recover():
        world.store.available = True
        world.store.claim("w", ["efficientnet-lite0"], lease_s=15)

    world.subscriptions.steps = [fail, lambda: world.clock.sleep(20), recover]

    # when
    text = http.get(address).text

    # then
    assert ": keepalive" in text
    assert '"state":"running"' in text


def test_moving_up_in_the_queue_is_an_event(submit, events, world):
    submit()
    address = submit().json["links"]["events"]
    world.subscriptions.steps = [world.claim]

    _, received = events(address)

    assert [data["queue_position"] for _, _, data in received] == [1, 0]


def test_a_new_worker_is_an_event_for_a_job_that_waits_for_it(submit, events, world):
    address = submit().json["links"]["events"]
    info = WorkerInfo(name="w", models=("efficientnet-lite0",), device="cpu", job_id=None, seen_at=0)
    world.subscriptions.steps = [
        lambda: world.clock.sleep(3),
        lambda: world.store.register_worker(info, ttl_s=1000),
        lambda: world.clock.sleep(3),
        lambda: world.end(world.claim(), JobState.SUCCEEDED),
    ]

    _, received = events(address)

    waits = [(data["state"], data["waiting_for"] is not None) for _, _, data in received]
    assert waits == [("queued", True), ("queued", False), ("running", False), ("succeeded", False)]


def test_a_stream_ends_at_its_time_limit_and_sets_the_reconnection_time(submit, http, world):
    address = submit().json["links"]["events"]
    began = world.clock.now()

    text = http.get(address).text

    assert text.startswith("retry: 2000\nid: ")
    assert world.clock.now() - began == pytest.approx(300, abs=20)


def test_a_stream_ends_when_the_process_stops(submit, http, world):
    address = submit().json["links"]["events"]
    world.subscriptions.closed = True

    assert http.get(address).status_code == 200


def test_the_stream_of_an_unknown_job_is_not_found(http):
    assert http.get("/v1/jobs/x/events").status_code == 404
