"""Uploads by parts: what clients may ask for, and what the service makes of it."""

import hashlib
import io
import random

import pytest
from PIL import Image

from api.jobs import upload_service
from shared.s3 import object_keys
from shared.settings import Settings

PART = 1000


@pytest.fixture
def world(world):
    object.__setattr__(world.services.uploads, "part_bytes", PART)
    return world


@pytest.fixture
def settings():
    return Settings(max_upload_bytes=8_000, max_direct_upload_bytes=2_000_000, max_pixels=1_000_000)


@pytest.fixture
def photograph():
    file = io.BytesIO()
    Image.frombytes("RGB", (80, 60), random.Random(3).randbytes(80 * 60 * 3)).save(file, "PNG")
    return file.getvalue()  # noise does not compress: 14 KB, more than a form may have here


def begin(http, size, **headers):
    return http.post("/v1/uploads/parts", json={"size_bytes": size}, headers=headers)


def list_parts(http, upload, **query):
    return http.get(f"/v1/uploads/{upload}/parts", query_string=query)


def send(http, world, upload, content, *, numbers=None):
    number = 1
    while number:
        page = list_parts(http, upload, first=number, limit=7).json
        for part in page["parts"]:
            if numbers is None or part["number"] in numbers:
                world.storage.put_part(part["url"], content[part["offset"] :][: part["size_bytes"]])
        number = page["next"]


def complete(http, upload):
    return http.post(f"/v1/uploads/{upload}/complete")


def submit(http, upload):
    return http.post("/v1/jobs", json={"image": {"upload": upload}})


def test_a_photograph_larger_than_a_request_becomes_a_job_by_parts(http, world, photograph):
    # given
    begun = begin(http, len(photograph))
    assert begun.status_code == 201
    assert (begun.json["part_bytes"], begun.json["parts"]) == (PART, -(-len(photograph) // PART))

    # when
    send(http, world, begun.json["id"], photograph)
    done = complete(http, begun.json["id"])
    job = submit(http, begun.json["id"])

    # then
    assert (done.status_code, done.json) == (200, {"id": begun.json["id"], "size_bytes": len(photograph)})
    assert job.status_code == 202
    stored = world.storage.get(object_keys.image(job.json["id"]))
    assert hashlib.sha256(stored).digest() == hashlib.sha256(photograph).digest()
    assert list(world.storage.keys(object_keys.open_uploads("local"))) == []


def test_parts_are_listed_with_what_has_arrived_so_that_an_upload_can_go_on(http, world, photograph):
    upload = begin(http, len(photograph)).json["id"]
    send(http, world, upload, photograph, numbers={1, 3})

    page = list_parts(http, upload, first=2, limit=2).json

    assert [(part["number"], part["offset"], part["received"]) for part in page["parts"]] == [
        (2, PART, False),
        (3, 2 * PART, True),
    ]
    assert page["next"] == 4
    last = list_parts(http, upload, first=len(photograph) // PART + 1).json
    assert (last["parts"][0]["size_bytes"], last["next"]) == (len(photograph) % PART, None)


@pytest.mark.parametrize("query", [{"first": 0}, {"first": -1}, {"first": 3}, {"first": 10_001}, {"limit": 101}])
def test_part_numbers_out_of_range_are_refused(http, query):
    upload = begin(http, 2 * PART).json["id"]

    answer = list_parts(http, upload, **query)

    assert (answer.status_code, answer.json["path"]) == (422, next(iter(query)))


def test_an_upload_with_missing_parts_is_not_completed_and_can_go_on(http, world, photograph):
    upload = begin(http, len(photograph)).json["id"]
    send(http, world, upload, photograph, numbers={2})

    refused = complete(http, upload)

    assert (refused.status_code, refused.json["code"]) == (409, "upload_incomplete")
    assert "part 1 is missing, part 3 is missing" in refused.json["detail"]
    assert submit(http, upload).json["path"] == "image.upload"
    send(http, world, upload, photograph)
    assert complete(http, upload).status_code == 200


def test_a_part_of_another_size_is_found_out(http, world, photograph):
    """S3 refuses such a part by its signature; a store that does not is caught here."""
    upload = begin(http, len(photograph)).json["id"]
    send(http, world, upload, photograph)
    part = list_parts(http, upload).json["parts"][1]
    world.storage.put_part(part["url"], b"x" * (PART + 1), lies=True)

    refused = complete(http, upload)

    assert refused.status_code == 409
    assert "part 2 has 1,001 bytes instead of 1,000" in refused.json["detail"]
    assert not list_parts(http, upload).json["parts"][1]["received"]


def test_a_size_above_the_limit_is_refused_with_the_limit(http, world):
    refused = begin(http, 2_000_001)

    assert (refused.status_code, refused.json["code"]) == (413, "image_too_large")
    assert "2,000,000" in refused.json["detail"]
    assert world.storage.begun == {}
    assert http.get("/v1/status").json["limits"]["max_direct_upload_bytes"] == 2_000_000


@pytest.mark.parametrize("size", [0, -1, "5", None, 2.5])
def test_a_size_that_is_none_is_refused(http, size):
    assert begin(http, size).status_code == 422


def test_completing_twice_gives_the_same_answer(http, world, photograph):
    upload = begin(http, len(photograph)).json["id"]
    send(http, world, upload, photograph)

    answers = [complete(http, upload) for _ in range(2)]

    assert [answer.json for answer in answers] == [{"id": upload, "size_bytes": len(photograph)}] * 2


def test_after_a_crash_in_the_middle_completing_again_finishes(http, world, photograph):
    # given a process that died between the store's completion and the removal of the document
    upload = begin(http, len(photograph)).json["id"]
    send(http, world, upload, photograph)
    document = world.storage.get(object_keys.open_upload("local", upload))
    complete(http, upload)
    world.storage.put(object_keys.open_upload("local", upload), document)

    assert complete(http, upload).status_code == 200
    assert list(world.storage.keys(object_keys.open_uploads("local"))) == []


def test_an_aborted_upload_can_be_neither_completed_nor_submitted(http, world, photograph):
    upload = begin(http, len(photograph)).json["id"]
    send(http, world, upload, photograph)

    assert [http.delete(f"/v1/uploads/{upload}").status_code for _ in range(2)] == [204, 204]

    assert complete(http, upload).json["code"] == "upload_not_found"
    assert list_parts(http, upload).json["code"] == "upload_not_found"
    assert submit(http, upload).json["path"] == "image.upload"
    assert (world.storage.begun, world.storage.objects) == ({}, {})


def test_a_complete_upload_can_be_removed_and_its_jobs_keep_their_copy(http, world, photograph):
    upload = begin(http, len(photograph)).json["id"]
    send(http, world, upload, photograph)
    complete(http, upload)
    job = submit(http, upload).json["id"]

    http.delete(f"/v1/uploads/{upload}")

    assert world.storage.get(object_keys.image(job)) == photograph
    assert list(world.storage.keys(object_keys.UPLOADS)) == []


@pytest.mark.parametrize("upload", ["x", "01ARZ3NDEKTSV4RRFFQ69G5FAV", "..%2f..%2fkeys"])
def test_an_unknown_upload_is_not_found(http, upload):
    assert complete(http, upload).status_code == 404
    assert list_parts(http, upload).status_code == 404


def test_an_owner_has_a_limited_number_of_unfinished_uploads(http, world):
    uploads = [begin(http, PART).json["id"] for _ in range(upload_service.MAX_OPEN)]

    refused = begin(http, PART)

    assert (refused.status_code, refused.json["code"]) == (429, "too_many_open_uploads")
    assert refused.headers["Retry-After"]
    http.delete(f"/v1/uploads/{uploads[0]}")
    assert begin(http, PART).status_code == 201


def test_uploads_that_begin_at_the_same_moment_are_limited_too(http, world, monkeypatch):
    for _ in range(upload_service.MAX_OPEN - 1):
        begin(http, PART)
    begin_parts = world.storage.begin_parts

    def while_another_begins(key):
        monkeypatch.setattr(world.storage, "begin_parts", begin_parts)
        assert begin(http, PART).status_code == 201
        return begin_parts(key)

    monkeypatch.setattr(world.storage, "begin_parts", while_another_begins)

    refused = begin(http, PART)

    assert (refused.status_code, refused.json["code"]) == (429, "too_many_open_uploads")
    assert len(world.storage.begun) == upload_service.MAX_OPEN


def test_a_store_without_uploads_by_parts_is_named(http, world):
    world.storage.has_parts = False

    refused = begin(http, PART)

    assert (refused.status_code, refused.json["code"]) == (501, "parts_unsupported")
    assert "POST /v1/uploads" in refused.json["detail"]


def test_parts_grow_with_the_file_so_that_the_store_takes_their_number(world):
    object.__setattr__(world.services.uploads, "part_bytes", upload_service.PART_BYTES)
    object.__setattr__(world.services.uploads, "max_bytes", 2**42)

    _, upload = world.services.uploads.begin("ann", 2**40)

    assert upload.parts <= upload_service.MAX_PARTS
    assert sum(upload.size_of(number) for number in range(1, upload.parts + 1)) == 2**40
