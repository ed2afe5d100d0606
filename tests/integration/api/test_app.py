"""The API on a real Redis and a real S3."""

import io
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from urllib.error import HTTPError

import httpx
import pytest
from PIL import Image

from api.app import create_app
from api.wiring import connect
from shared.celery_app import CeleryNotifier
from shared.jobs.job import JobState, Outcome
from shared.jobs.lifecycle import JobLifecycle
from shared.redis.job_store import RedisJobStore
from shared.s3 import object_keys
from shared.s3.object_storage import S3ObjectStorage
from tests.conftest import empty_redis
from tests.fakes.pictures import a_picture
from tests.zoo import exif, jpeg
from tests.zoo.specimen import PICTURE, encoded


@pytest.fixture
def store(settings):
    return RedisJobStore.connect(settings)


@pytest.fixture
def storage(settings):
    return S3ObjectStorage.connect(settings)


@pytest.fixture
def http(settings, storage):
    storage.check()  # creates the bucket
    return create_app(settings).test_client()


def submit(http, **fields):
    return http.post("/v1/jobs", data={"image": (io.BytesIO(a_picture()), "photo.jpg"), **fields})


def fetch(address: str) -> tuple[bytes, str]:
    with urllib.request.urlopen(address) as answer:
        return answer.read(), answer.headers["Content-Disposition"]


def test_a_submitted_job_ends_as_a_downloaded_result(http, settings, store, storage):
    # given
    job_id = submit(http, params='{"octaves": 2}').json["id"]
    assert CeleryNotifier.connect(settings).pending_wake_ups() == 1

    # when the test acts as the worker
    job = store.claim("worker-1", ["efficientnet-lite0"], lease_s=15)
    running = http.get(f"/v1/jobs/{job_id}").json
    storage.put(object_keys.output(job_id, job.claim, "preview.jpg"), b"jpg")
    storage.put(object_keys.output(job_id, job.claim, "result.png"), b"png")
    JobLifecycle(storage, store, CeleryNotifier.connect(settings)).settle(
        job_id, Outcome(state=JobState.SUCCEEDED, finished_at=job.created_at + 1, claim=job.claim)
    )

    # then
    assert (running["state"], running["attempt"]) == ("running", 1)
    assert storage.get(object_keys.image(job_id)) == a_picture()
    assert http.get(f"/v1/jobs/{job_id}").json["state"] == "succeeded"
    assert http.get(f"/v1/jobs/{job_id}/preview").data == b"jpg"
    body, disposition = fetch(http.get(f"/v1/jobs/{job_id}/result").location)
    assert body == b"png"
    assert disposition == 'attachment; filename="photo-dream.png"'


def test_the_address_of_a_result_gives_access_to_nothing_else(http, store, storage, settings):
    # given
    job_id = submit(http).json["id"]
    job = store.claim("worker-1", ["efficientnet-lite0"], lease_s=15)
    storage.put(object_keys.output(job_id, job.claim, "result.png"), b"png")
    outcome = Outcome(state=JobState.SUCCEEDED, finished_at=1.0, claim=job.claim)
    JobLifecycle(storage, store, CeleryNotifier.connect(settings)).settle(job_id, outcome)
    address = http.get(f"/v1/jobs/{job_id}/result").location

    # when, then
    with pytest.raises(HTTPError) as refused:
        fetch(address.replace(object_keys.output(job_id, job.claim, "result.png"), object_keys.image(job_id)))
    assert refused.value.code == 403
    refused.value.close()


def test_accepted_jobs_survive_a_wiped_redis(http, settings, store):
    # given
    waiting = submit(http).json
    canceled = submit(http).json
    http.post(canceled["links"]["cancel"])
    empty_redis(settings)

    # when
    states = [http.get(job["links"]["self"]).json["state"] for job in (waiting, canceled)]

    # then
    assert states == ["queued", "canceled"]
    assert store.claim("worker-1", ["efficientnet-lite0"], lease_s=15).id == waiting["id"]


def test_a_deleted_job_leaves_only_its_tombstone(http, storage):
    job_id = submit(http).json["id"]

    assert http.delete(f"/v1/jobs/{job_id}").status_code == 204
    assert list(storage.keys("")) == [object_keys.tombstone(job_id)]


def test_a_refused_submission_leaves_nothing(http, store, storage, settings):
    assert submit(http, params='{"octaves": 0}').status_code == 422

    assert list(storage.keys("")) == []
    assert store.list_jobs("local") == []


def by_form(http, photograph):
    return submit(http, image=(io.BytesIO(photograph), "photo.jpg"))


def by_parts(http, photograph):
    upload = http.post("/v1/uploads/parts", json={"size_bytes": len(photograph)}).json["id"]
    (part,) = http.get(f"/v1/uploads/{upload}/parts").json["parts"]
    httpx.put(part["url"], content=photograph).raise_for_status()
    assert http.post(f"/v1/uploads/{upload}/complete").status_code == 200
    return http.post("/v1/jobs", json={"image": {"upload": upload}})


@pytest.mark.parametrize("send", [by_form, by_parts])
@pytest.mark.parametrize("kept", [True, False], ids=["as it came", "stripped"])
def test_a_stored_photograph_has_its_place_only_where_it_may(settings, storage, send, kept):
    # given
    place = b"N48.8584 E2.2945"
    block = exif.block(exif.orientation(6), (0x8825, 2, len(place), b"\x26\0\0\0"), extra=place)
    photograph = jpeg.with_exif(encoded(PICTURE, "JPEG"), block)
    storage.check()
    http = create_app(settings.model_copy(update={"strip_inputs": not kept})).test_client()

    # when
    job = send(http, photograph).json

    # then
    stored = storage.get(object_keys.image(job["id"]))
    assert (place in stored, stored == photograph) == (kept, kept)
    assert (job["input"]["width"], job["input"]["size_bytes"]) == (32, len(stored))
    with Image.open(io.BytesIO(stored)) as image:
        assert image.getexif()[0x0112] == 6


def test_of_many_renames_at_once_the_name_that_s3_keeps_is_the_one_that_redis_shows(http, settings):
    job = submit(http).json["id"]
    app = create_app(settings)

    def rename(number):
        return app.test_client().patch(f"/v1/jobs/{job}", json={"name": f"name {number}"}).status_code

    for _ in range(5):
        with ThreadPoolExecutor(8) as pool:
            assert set(pool.map(rename, range(8))) == {200}
        shown = http.get(f"/v1/jobs/{job}").json["name"]
        empty_redis(settings)
        assert http.get(f"/v1/jobs/{job}").json["name"] == shown


def test_the_api_starts_while_redis_and_s3_are_unavailable(settings):
    unavailable = settings.model_copy(update={"redis_url": "redis://127.0.0.1:9/0", "s3_url": "http://127.0.0.1:9"})

    http = create_app(unavailable, services=connect(unavailable)).test_client()

    assert http.get("/healthz").status_code == 200
    assert http.get("/readyz").status_code == 503
    assert submit(http).status_code == 503
