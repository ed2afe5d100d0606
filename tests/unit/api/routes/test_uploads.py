import pytest

from tests.fakes.pictures import a_picture


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
