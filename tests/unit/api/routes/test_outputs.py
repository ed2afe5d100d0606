import io

from shared.jobs.job import JobState
from shared.s3 import object_keys
from tests.fakes.pictures import a_picture


def test_the_result_redirects_to_the_storage(submit, http, world):
    # given
    address = submit().location
    job = world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

    # when
    answer = http.get(f"{address}/result")

    # then
    assert answer.status_code == 303
    assert object_keys.output(job.id, job.claim, "result.png") in answer.location
    assert answer.headers["Cache-Control"] == "no-store"


def test_the_result_of_a_running_job_is_a_409_and_of_an_expired_one_a_410(submit, http, world):
    # given
    address = submit().location
    job = world.claim()

    # when
    running = http.get(f"{address}/result")
    world.end(job, JobState.SUCCEEDED)
    world.store.expire(job.id, retry_count=0)
    expired = http.get(f"{address}/result")

    # then
    assert (running.status_code, running.json["code"], running.headers["Retry-After"]) == (409, "not_ready", "1")
    assert (expired.status_code, expired.json["code"]) == (410, "result_expired")


def test_the_preview_is_a_jpeg_with_an_etag(submit, http, world):
    # given
    address = submit().location
    job = world.claim()
    world.storage.put(object_keys.output(job.id, job.claim, "preview.jpg"), b"\xff\xd8 jpeg")

    # when
    first = http.get(f"{address}/preview")
    second = http.get(f"{address}/preview", headers={"If-None-Match": first.headers["ETag"]})

    # then
    assert (first.status_code, first.content_type, first.data) == (200, "image/jpeg", b"\xff\xd8 jpeg")
    assert (second.status_code, second.data) == (304, b"")


def test_a_photograph_that_some_browsers_cannot_show_has_a_jpeg_once_a_worker_has_read_it(submit, http, world):
    # given
    waiting = submit(image=(io.BytesIO(a_picture("TIFF")), "scan.tif")).json
    job = world.claim()
    address = f"/v1/jobs/{job.id}"

    # when
    early = http.get(f"{address}/photograph")
    world.storage.put(object_keys.output(job.id, job.claim, "photograph.jpg"), b"\xff\xd8 jpeg")
    shown = http.get(http.get(address).json["links"]["photograph"])

    # then
    assert waiting["links"]["photograph"] is None
    assert (early.status_code, early.json["code"]) == (409, "not_ready")
    assert (shown.status_code, shown.content_type, shown.data) == (200, "image/jpeg", b"\xff\xd8 jpeg")


def test_a_jpeg_needs_no_second_one(submit, http, world):
    address = submit().location
    world.claim()

    assert http.get(address).json["links"]["photograph"] is None


def test_the_report_is_json(submit, http, world):
    address = submit().location
    world.end(world.claim(), JobState.SUCCEEDED, report_json=b'{"seed": 1}')

    assert http.get(f"{address}/report").json == {"seed": 1}


def test_the_photograph_can_be_downloaded(submit, http, world):
    links = submit().json["links"]

    answer = http.get(links["input"])

    assert answer.status_code == 303
    assert "/input?" in answer.location
    world.storage.objects.clear()
    assert http.get(links["input"]).status_code == 410
