import json

import pytest

from shared.interfaces import WorkerInfo
from shared.jobs import JobProgress, JobState


@pytest.fixture
def events(http):
    """All events of a stream, as (event, id, data)."""

    def read(address, **headers):
        answer = http.get(address, headers=headers)
        found = []
        for block in answer.text.split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
            if "event" in fields:
                found.append((fields["event"], fields.get("id"), json.loads(fields["data"])))
        return answer, found

    return read


def advance(world, fraction):
    job = next(iter(world.store.jobs.values()))
    world.store.renew(job, lease_s=15, progress=JobProgress(octaves=1, iterations=2, fraction=fraction))


def test_a_stream_tells_the_job_at_once_and_every_change_until_its_end(submit, events, world):
    # given
    address = submit().json["links"]["events"]
    world.subscriptions.steps = [
        world.claim,
        lambda: advance(world, 0.5),
        lambda: world.end(next(iter(world.store.jobs.values())), JobState.SUCCEEDED),
    ]

    # when
    answer, told = events(address)

    # then
    assert answer.mimetype == "text/event-stream"
    assert answer.headers["Cache-Control"] == "no-store"
    assert [(data["state"], data["progress"]["fraction"]) for _, _, data in told] == [
        ("queued", 0), ("running", 0), ("running", 0.5), ("succeeded", 1)
    ]  # fmt: skip
    assert world.subscriptions.watching == 0


def test_what_was_missed_is_told_first_as_it_was(submit, events, world):
    # given
    address = submit().json["links"]["events"]
    seen = str(next(iter(world.store.jobs.values())).version)
    job = world.claim()
    advance(world, 0.5)
    world.end(job, JobState.FAILED)

    # when
    _, told = events(address, **{"Last-Event-ID": seen})

    # then
    assert [(data["state"], data["finished_at"] is None) for _, _, data in told] == [
        ("running", True), ("running", True), ("failed", False)
    ]  # fmt: skip
    answer, _ = events(address, **{"Last-Event-ID": told[-1][1]})
    assert answer.status_code == 204


@pytest.mark.parametrize("strange", ["x", "-1", "1" * 30, "99999999999999"])
def test_a_strange_event_id_begins_anew(submit, events, world, strange):
    address = submit().json["links"]["events"]

    _, told = events(address, **{"Last-Event-ID": strange})

    assert told[0][2]["state"] == "queued"


def test_a_new_preview_is_an_event(submit, events, world):
    # given
    address = submit().json["links"]["events"]

    def preview():
        job = next(iter(world.store.jobs.values()))
        world.store.note(world.edit(job, version=job.version + 1), preview=True)

    world.subscriptions.steps = [world.claim, preview]

    # when
    _, told = events(address)

    # then
    assert [event for event, _, _ in told] == ["job", "job", "job", "preview"]


def test_a_deleted_job_is_told_and_ends_the_stream(submit, events, world):
    job = submit().json
    world.subscriptions.steps = [lambda: world.service.delete("local", job["id"])]

    _, told = events(job["links"]["events"])

    assert [event for event, _, _ in told] == ["job", "deleted"]


def test_a_stream_outlasts_redis_being_away_and_has_heartbeats(submit, http, world):
    # given
    address = submit().json["links"]["events"]

    def leave():
        world.store.available = False

    def return_():
        world.store.available = True
        world.store.claim("w", ["efficientnet-lite0"], lease_s=15)

    world.subscriptions.steps = [leave, lambda: world.clock.sleep(20), return_]

    # when
    text = http.get(address).text

    # then
    assert ": keepalive" in text
    assert '"state":"running"' in text


def test_moving_up_in_the_queue_is_told(submit, events, world):
    submit()
    address = submit().json["links"]["events"]
    world.subscriptions.steps = [world.claim]

    _, told = events(address)

    assert [data["queue_position"] for _, _, data in told] == [1, 0]


def test_a_worker_that_comes_is_told_to_who_waits_for_it(submit, events, world):
    address = submit().json["links"]["events"]
    info = WorkerInfo(name="w", models=("efficientnet-lite0",), device="cpu", job_id=None, seen_at=0)
    world.subscriptions.steps = [
        lambda: world.clock.sleep(3),
        lambda: world.store.register_worker(info, ttl_s=1000),
        lambda: world.clock.sleep(3),
        lambda: world.end(world.claim(), JobState.SUCCEEDED),
    ]

    _, told = events(address)

    waits = [(data["state"], data["waiting_for"] is not None) for _, _, data in told]
    assert waits == [("queued", True), ("queued", False), ("running", False), ("succeeded", False)]


def test_a_stream_ends_after_a_while_and_says_how_to_come_back(submit, http, world):
    address = submit().json["links"]["events"]
    began = world.clock.now()

    text = http.get(address).text

    assert text.startswith("retry: 2000\n\n")
    assert world.clock.now() - began == pytest.approx(300, abs=20)


def test_a_stream_ends_with_its_process(submit, http, world):
    address = submit().json["links"]["events"]
    world.subscriptions.closed = True

    assert http.get(address).status_code == 200


def test_an_unknown_jobs_stream_is_not_found(http):
    assert http.get("/v1/jobs/x/events").status_code == 404
