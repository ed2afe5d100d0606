import io
import json

import pytest

from shared.interfaces import WorkerInfo
from shared.jobs import JobError, JobProgress, JobState
from tests.fakes.pictures import a_picture, an_animation


def test_a_submission_is_accepted_with_the_address_of_its_job(submit, http):
    # when
    answer = submit(params={"octaves": 2}, priority="high", deadline_s="60")

    # then
    assert answer.status_code == 202
    assert answer.headers["Retry-After"]
    assert answer.location == answer.json["links"]["self"] == f"/v1/jobs/{answer.json['id']}"
    assert answer.json["state"] == "queued"
    assert answer.json["queue_position"] == 0
    assert answer.json["params"]["octaves"] == 2
    assert answer.json["input"] == {
        "format": "jpeg", "width": 96, "height": 80, "size_bytes": len(a_picture())
    }  # fmt: skip
    assert http.get(answer.location).json == answer.json


def test_parameters_are_optional(submit):
    assert submit().json["params"]["layers"] == [{"layer": "block11_expand", "channels": None, "weight": 1.0}]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"params": {"octaves": 17}}, (422, "invalid_field", "params.octaves", "16")),
        ({"params": {"iterations": 0}}, (422, "invalid_field", "params.iterations", "1")),
        ({"params": {"color": "kep"}}, (422, "invalid_field", "params.color", "keep")),
        ({"params": {"itertions": 3}}, (422, "invalid_field", "params.itertions", "iterations")),
        ({"params": {"step_size": "NaN"}}, (422, "invalid_field", "params.step_size", None)),
        ({"params": '{"step_size": NaN}'}, (422, "invalid_field", "params.step_size", None)),
        ({"params": {"model": "efficientnet-lite"}}, (422, "invalid_field", "params.model", "efficientnet-lite0")),
        (
            {"params": {"layers": [{"layer": "block5_expnd"}]}},
            (422, "invalid_field", "params.layers.0.layer", "block5_expand"),
        ),
        (
            {"params": {"layers": [{"layer": "stem", "channels": [32]}]}},
            (422, "invalid_field", "params.layers.0.channels.0", "31"),
        ),
        ({"params": {"layers": []}}, (422, "invalid_field", "params.layers", None)),
        ({"params": "{"}, (422, "invalid_field", "params", None)),
        ({"params": "[" * 5000}, (422, "invalid_field", "params", None)),
        ({"params": "null"}, (422, "invalid_field", "params", None)),
        ({"priority": "urgent"}, (422, "invalid_field", "priority", None)),
        ({"priority": "hihg"}, (422, "invalid_field", "priority", "high")),
        ({"deadline_s": "-1"}, (422, "invalid_field", "deadline_s", None)),
        ({"deadline_s": "inf"}, (422, "invalid_field", "deadline_s", None)),
        ({"parms": "{}"}, (422, "invalid_field", "parms", "params")),
        ({"image": None, "params": "{}"}, (415, "unsupported_media_type", None, None)),
        ({"image": "text"}, (415, "unsupported_media_type", None, None)),
        ({"photo": (io.BytesIO(b"x"), "x.jpg")}, (422, "invalid_field", "photo", "image")),
        ({"image": (io.BytesIO(b"hello"), "x.jpg")}, (415, "unsupported_image", None, None)),
        ({"image": (io.BytesIO(b""), "x.jpg")}, (415, "unsupported_image", None, None)),
        ({"image": (io.BytesIO(an_animation("PNG")), "x.png")}, (415, "unsupported_image", None, None)),
        ({"image": (io.BytesIO(a_picture()[:-30]), "x.jpg")}, (422, "image_unreadable", None, None)),
        ({"image": (io.BytesIO(a_picture(width=1250, height=801)), "x.jpg")}, (413, "image_too_large", None, None)),
        ({"image": (io.BytesIO(a_picture() + bytes(200_000)), "x.jpg")}, (413, "request_too_large", None, None)),
    ],
)  # fmt: skip
def test_an_invalid_submission_is_a_problem_and_stores_nothing(submit, world, fields, expected):
    # when
    status, code, path, suggestion = expected
    answer = submit(**fields)

    # then
    problem = answer.json
    assert (answer.status_code, problem["code"]) == (status, code)
    assert (problem.get("path"), problem.get("suggestion")) == (path, suggestion)
    assert answer.content_type == "application/problem+json"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    assert (world.storage.objects, world.store.jobs, world.notifier.wake_ups) == ({}, {}, 0)


def test_all_invalid_fields_are_reported_together(submit):
    problem = submit(params={"octaves": 99, "itertions": 3}).json

    assert [error["path"] for error in problem["errors"]] == ["params.octaves", "params.itertions"]


def test_an_octave_scale_above_1_gets_its_inverse_as_suggestion(submit):
    assert "0.714" in submit(params={"octave_scale": 1.4}).json["detail"]


def test_a_form_without_an_image_is_refused(http):
    answer = http.post("/v1/jobs", data={"params": "{}"}, content_type="multipart/form-data")

    assert (answer.status_code, answer.json["path"]) == (422, "image")


def test_a_field_sent_twice_is_refused(http):
    answer = http.post("/v1/jobs", data={"image": [(io.BytesIO(a_picture()), "a.jpg"), (io.BytesIO(b""), "b.jpg")]})

    assert (answer.status_code, answer.json["path"]) == (422, "image")


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


def test_a_repeated_idempotency_key_returns_the_first_job(submit_again, world):
    # when
    first, second = submit_again("k1"), submit_again("k1")

    # then
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json["id"] == second.json["id"]
    assert (first.headers["Idempotency-Replayed"], second.headers["Idempotency-Replayed"]) == ("false", "true")
    assert len(world.store.jobs) == 1
    assert submit_again("k2").json["id"] != first.json["id"]


def test_an_idempotency_key_with_another_body_is_refused(submit_again):
    submit_again("k1")

    for change in ({"params": '{"octaves": 2}'}, {"priority": "low"}, {"picture": a_picture(width=100)}):
        answer = submit_again("k1", **change)
        assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")


def test_the_idempotency_key_of_a_refused_request_can_be_reused(submit_again):
    assert submit_again("k1", picture=b"hello").status_code == 415
    assert submit_again("k1").status_code == 202


def test_an_idempotency_key_in_flight_is_a_409_until_its_process_is_presumed_dead(submit_again, world):
    # given a process that dies between reserving the key and writing the job
    accept = type(world.submissions)._accept
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(world.submissions), "_accept", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            submit_again("k1")
    assert type(world.submissions)._accept is accept

    # when
    early = submit_again("k1")
    world.clock.sleep(61)
    late = submit_again("k1")

    # then
    assert (early.status_code, early.json["code"]) == (409, "idempotency_key_in_flight")
    assert early.headers["Retry-After"]
    assert late.status_code == 202
    assert submit_again("k1").json["id"] == late.json["id"]


def test_an_idempotency_key_survives_a_wiped_redis(submit_again, world):
    first = submit_again("k1")
    world.store.wipe()

    assert submit_again("k1").json["id"] == first.json["id"]


def test_the_idempotency_key_of_a_deleted_job_is_a_409(submit_again, http):
    http.delete(submit_again("k1").location)

    answer = submit_again("k1")
    assert (answer.status_code, answer.json["code"]) == (409, "wrong_state")


@pytest.mark.parametrize("key", ["", "x" * 256])
def test_an_invalid_idempotency_key_is_refused(submit_again, key):
    assert submit_again(key).json["path"] == "Idempotency-Key"


@pytest.fixture
def submit_again(http):
    def send(key, picture=None, **fields):
        image = (io.BytesIO(picture or a_picture()), "photo.jpg")
        return http.post("/v1/jobs", data={"image": image, **fields}, headers={"Idempotency-Key": key})

    return send


def test_a_submission_can_wait_for_the_job_to_end(http, world):
    # given
    world.subscriptions.steps = [
        world.claim,
        lambda: world.end(next(iter(world.store.jobs.values())), JobState.SUCCEEDED),
    ]

    # when
    answer = http.post(
        "/v1/jobs", data={"image": (io.BytesIO(a_picture()), "photo.jpg")}, headers={"Prefer": "wait=10"}
    )

    # then
    assert (answer.status_code, answer.json["state"]) == (200, "succeeded")


@pytest.mark.parametrize(("prefer", "waited_s"), [("wait=5", 5), ("respond-async, wait=600", 30), ("wait=x", 0)])
def test_a_wait_ends_after_its_time(submit, http, world, prefer, waited_s):
    address = submit().location
    began = world.clock.now()

    answer = http.get(address, headers={"Prefer": prefer})

    assert (answer.status_code, answer.json["state"]) == (200, "queued")
    assert world.clock.now() - began == waited_s


def test_a_job_can_be_created_from_an_upload(http, world):
    # given
    upload = http.post("/v1/uploads", json={"size_bytes": 5000, "content_type": "image/jpeg"})
    world.storage.put(upload.json["fields"]["key"], a_picture())

    # when
    answer = http.post("/v1/jobs", json={"image": {"upload": upload.json["id"]}, "params": {"octaves": 2}})

    # then
    assert upload.status_code == 201
    assert answer.status_code == 202
    assert (answer.json["params"]["octaves"], answer.json["input"]["width"]) == (2, 96)
    assert world.storage.get(f"jobs/{answer.json['id']}/input") == a_picture()


@pytest.mark.parametrize(
    ("content", "status", "code"),
    [
        (b"hello", 415, "unsupported_image"),
        (a_picture()[:-30], 422, "image_unreadable"),
        (a_picture(width=1250, height=801), 413, "image_too_large"),
        (None, 422, "invalid_field"),
    ],
)
def test_an_invalid_upload_is_refused_at_submission_and_stores_nothing(http, world, content, status, code):
    # given
    upload = http.post("/v1/uploads").json
    if content is not None:
        world.storage.put(upload["fields"]["key"], content)
    before = dict(world.storage.objects)

    # when
    answer = http.post("/v1/jobs", json={"image": {"upload": upload["id"]}})

    # then
    assert (answer.status_code, answer.json["code"]) == (status, code)
    assert (world.storage.objects, world.store.jobs) == (before, {})


@pytest.mark.parametrize("upload_id", ["", "../../keys", "x" * 26, "é" * 26])
def test_an_invalid_upload_id_is_refused(http, world, upload_id):
    answer = http.post("/v1/jobs", json={"image": {"upload": upload_id}})

    assert (answer.status_code, answer.json["path"]) == (422, "image.upload")


def test_an_upload_with_a_declared_size_above_the_limit_is_refused(http):
    assert http.post("/v1/uploads", json={"size_bytes": 200_001}).json["code"] == "image_too_large"


@pytest.mark.parametrize("body", ["{", "[]", "null", '{"image": 3}', '{"image": {"upload": "x"}, "parms": {}}'])
def test_an_invalid_json_submission_is_a_problem(http, body):
    assert http.post("/v1/jobs", data=body, content_type="application/json").status_code == 422


def test_listed_jobs_have_their_queue_positions(submit, http):
    for _ in range(3):
        submit()

    assert sorted(job["queue_position"] for job in http.get("/v1/jobs").json["jobs"]) == [0, 1, 2]
