import json

import pytest

from shared.interfaces import WorkerInfo
from shared.jobs.job import JobError, JobProgress, JobState


def test_unavailable_services_are_a_503_with_retry_after(submit, http, world):
    # given
    job = submit().json
    world.storage.available = False
    world.store.available = False

    # when
    answers = [submit(), http.get(job["links"]["self"]), http.get("/v1/jobs"), http.post(job["links"]["cancel"])]

    # then
    assert {answer.status_code for answer in answers} == {503}
    assert {answer.json["code"] for answer in answers} == {"storage_unavailable", "store_unavailable"}
    assert all(answer.headers["Retry-After"] for answer in answers)


def test_a_poll_without_changes_is_an_empty_304(submit, http, world):
    # given
    address = submit().location
    first = http.get(address)

    # when
    second = http.get(address, headers={"If-None-Match": first.headers["ETag"]})
    world.claim()
    third = http.get(address, headers={"If-None-Match": first.headers["ETag"]})

    # then
    assert (second.status_code, second.data, second.headers["ETag"]) == (304, b"", first.headers["ETag"])
    assert (third.status_code, third.json["state"]) == (200, "running")


@pytest.mark.parametrize("known", ["W/{tag}", '"other", {tag}', '"a", W/{tag} , "b"', "{tag},{older}", "*"])
def test_lists_of_etags_and_weak_ones_are_understood(submit, http, world, known):
    # given
    address = submit().location
    older = http.get(address).headers["ETag"]
    world.claim()
    tag = http.get(address).headers["ETag"]

    # when
    answer = http.get(address, headers={"If-None-Match": known.format(tag=tag, older=older)})

    # then
    assert (answer.status_code, answer.data, answer.headers["ETag"]) == (304, b"", tag)


@pytest.mark.parametrize("known", ["W/{older}", '{older}, "other"', '"a{tag}', "{tag}b"])
def test_etags_of_other_versions_get_the_job(submit, http, world, known):
    address = submit().location
    older = http.get(address).headers["ETag"]
    world.claim()
    tag = http.get(address).headers["ETag"].strip('"')

    answer = http.get(address, headers={"If-None-Match": known.format(tag=tag, older=older)})

    assert (answer.status_code, answer.json["state"]) == (200, "running")


def test_moving_up_in_the_queue_is_a_change(submit, http, world):
    # given
    submit()
    second = submit()
    etag = http.get(second.location).headers["ETag"]

    # when
    world.claim()

    # then
    answer = http.get(second.location, headers={"If-None-Match": etag})
    assert (answer.status_code, answer.json["queue_position"]) == (200, 0)


def test_a_new_worker_is_a_change_for_a_job_that_waits_for_it(submit, http, world):
    # given
    first = http.get(submit().location)
    assert "No worker" in first.json["waiting_for"]

    # when
    register_worker(world)
    second = http.get(first.json["links"]["self"], headers={"If-None-Match": first.headers["ETag"]})

    # then
    assert (second.status_code, second.json["waiting_for"]) == (200, None)
    assert http.get(first.json["links"]["self"], headers={"If-None-Match": second.headers["ETag"]}).status_code == 304


def test_a_new_worker_is_no_change_for_a_running_job(submit, http, world):
    address = submit().location
    world.claim()
    first = http.get(address)

    register_worker(world)

    assert http.get(address, headers={"If-None-Match": first.headers["ETag"]}).status_code == 304


def register_worker(world):
    info = WorkerInfo(name="w", models=("efficientnet-lite0",), device="cpu", job_id=None, seen_at=0)
    world.store.register_worker(info, ttl_s=1000)
    world.clock.sleep(2)  # the cached set of workers expires


def test_a_running_job_has_progress_and_links(submit, http, world):
    # given
    address = submit().location
    progress = JobProgress(octave=1, octaves=5, iteration=3, iterations=10, fraction=0.2, eta_seconds=8.5)
    job = world.claim()
    world.store.renew(job, lease_s=15, progress=progress)

    # when
    shown = http.get(address).json

    # then
    assert shown["progress"] == progress.model_dump()
    links = {name: link for name, link in shown["links"].items() if link}
    others = {name: f"{address}/{name}" for name in ("events", "input", "preview", "cancel")}
    assert links == {"self": address, **others}
    assert shown["started_at"].endswith("Z")


def test_a_failed_job_has_an_error_and_can_be_retried(submit, http, world):
    # given
    address = submit().location
    job = world.end(world.claim(), JobState.FAILED)
    world.edit(job, error=JobError(code="out_of_memory", message="The device ran out of memory."))

    # when
    shown = http.get(address).json
    retried = http.post(shown["links"]["retry"])

    # then
    assert shown["error"] == {
        "code": "out_of_memory", "message": "The device ran out of memory.", "retryable": False
    }  # fmt: skip
    assert (retried.status_code, retried.json["state"]) == (202, "queued")


def test_a_job_that_missed_its_deadline_is_retried_with_another_one(submit, http, world):
    # given
    retry = f"{submit(deadline_s='5').location}/retry"
    world.end(world.claim(), JobState.FAILED)
    world.clock.sleep(6)

    # then
    assert http.post(retry).status_code == 409
    assert http.post(retry, json={"deadline_s": 0}).json["path"] == "deadline_s"
    assert http.post(retry, json={"deadline_s": 90}).json["deadline_at"] is not None


def test_a_canceled_job_is_resumed_and_its_deadline_can_be_removed(submit, http):
    address = submit(deadline_s="50").location
    canceled = http.post(f"{address}/cancel").json

    resumed = http.post(canceled["links"]["retry"], json={"deadline_s": None})

    assert (resumed.status_code, resumed.json["state"], resumed.json["deadline_at"]) == (202, "queued", None)


def test_jobs_are_listed_in_pages_newest_first(submit, http, world):
    # given
    ids = []
    for _ in range(5):
        ids.append(submit().json["id"])
        world.clock.sleep(1)

    # when
    first = http.get("/v1/jobs?limit=2").json
    second = http.get("/v1/jobs", query_string={"limit": 2, "cursor": first["next_cursor"]}).json
    third = http.get("/v1/jobs", query_string={"limit": 2, "cursor": second["next_cursor"]}).json

    # then
    listed = [job["id"] for page in (first, second, third) for job in page["jobs"]]
    assert listed == ids[::-1]
    assert third["next_cursor"] is None


def test_lists_can_be_filtered_by_state_and_kind(submit, http, world):
    # given
    submit()
    world.end(world.claim(), JobState.SUCCEEDED)
    world.clock.sleep(1)
    waiting = submit().json["id"]

    # when, then
    assert [job["id"] for job in http.get("/v1/jobs?state=queued,running").json["jobs"]] == [waiting]
    assert len(http.get("/v1/jobs?state=succeeded&kind=dream").json["jobs"]) == 1


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("limit=0", "limit"), ("limit=x", "limit"), ("limt=3", "limt"), ("cursor=%C3%A4", "cursor"),
        ("state=no", "state.0"),
    ],
)  # fmt: skip
def test_an_invalid_query_is_a_problem(http, query, path):
    answer = http.get(f"/v1/jobs?{query}")

    assert (answer.status_code, answer.json["path"]) == (422, path)


def test_canceling_a_queued_job_ends_it(submit, http):
    links = submit().json["links"]

    assert http.post(links["cancel"]).json["state"] == "canceled"
    assert http.get(links["self"]).json["links"]["cancel"] is None


def test_a_deleted_job_is_not_found(submit, http):
    address = submit().location

    assert http.delete(address).status_code == 204
    assert http.get(address).status_code == 404
    assert http.delete(address).json["code"] == "job_not_found"


def test_the_fields_of_a_job_keep_their_order(submit, http):
    raw = http.get(submit().location).data

    assert list(json.loads(raw))[:3] == ["id", "kind", "state"]


@pytest.mark.parametrize(
    ("prefer", "waited_s"),
    [
        *(("wait=5", 5), ("respond-async, wait=600", 30), ("Wait=5", 5), ('WAIT = "5"', 5), ("wait=5; strict", 5)),
        *(("wait=5, wait=9", 5), ("wait=x, wait=5", 5), ("wait=99999999999", 30)),
        *(("wait=x", 0), ("wait=5s", 0), ("wait=1.5", 0), ('wait="5', 0), ("await=5", 0)),
        *(('note="later, wait=5"', 0), ("handling=lenient; wait=5", 0)),
    ],
)
def test_a_wait_ends_after_its_time(submit, http, world, prefer, waited_s):
    address = submit().location
    began = world.clock.now()

    answer = http.get(address, headers={"Prefer": prefer})

    assert (answer.status_code, answer.json["state"]) == (200, "queued")
    assert world.clock.now() - began == waited_s


def test_listed_jobs_have_their_queue_positions(submit, http):
    for _ in range(3):
        submit()

    assert sorted(job["queue_position"] for job in http.get("/v1/jobs").json["jobs"]) == [0, 1, 2]
