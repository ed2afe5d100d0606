"""The stored photographs: DREAM_STRIP_INPUTS and DREAM_FORMATS."""

import io

import pytest

from shared.s3 import object_keys
from shared.settings import Settings
from tests.fakes.pictures import a_picture
from tests.zoo import exif, jpeg
from tests.zoo.specimen import PICTURE, encoded

PLACE = b"N48.8584 E2.2945"
BLOCK = exif.block(exif.orientation(6), (0x8825, 2, len(PLACE), b"\x26\0\0\0"), extra=PLACE)
PHOTOGRAPH = jpeg.with_exif(encoded(PICTURE, "JPEG"), BLOCK)


@pytest.fixture
def settings() -> Settings:
    return Settings(max_upload_bytes=200_000, max_pixels=1_000_000, strip_inputs=True, formats="jpeg, png")


def test_a_stored_photograph_has_no_place_and_is_still_upright(submit, world):
    job = submit(**{name: (io.BytesIO(PHOTOGRAPH), "x.jpg") for name in ("image", "guide", "mask")}).json

    for place, found in (
        (object_keys.image, job["input"]),
        (object_keys.guide, job["guide"]),
        (object_keys.mask, job["mask"]),
    ):
        stored = world.storage.get(place(job["id"]))
        assert PLACE in PHOTOGRAPH
        assert PLACE not in stored
        assert (found["width"], found["height"], found["size_bytes"]) == (32, 48, len(stored))


def test_what_was_ignored_of_a_photograph_is_known_although_its_copy_lacks_it(submit):
    moving = encoded(PICTURE, "PNG", save_all=True, append_images=[PICTURE.rotate(180)])
    job = submit(image=(io.BytesIO(moving), "x.png"), mask=(io.BytesIO(PHOTOGRAPH), "x.jpg")).json

    assert job["input"]["notes"] == ["The file is animated; its first frame is used."]
    assert job["mask"]["notes"] == []


def test_so_it_is_with_an_upload(http, world):
    upload = http.post("/v1/uploads", json={}).json["id"]
    world.storage.put(object_keys.upload("local", upload), PHOTOGRAPH)

    job = http.post("/v1/jobs", json={"image": {"upload": upload}}).json

    assert PLACE not in world.storage.get(object_keys.image(job["id"]))


def test_the_same_photograph_sent_again_is_the_same_request(http):
    def send():
        form = {"image": (io.BytesIO(PHOTOGRAPH), "x.jpg")}
        return http.post("/v1/jobs", data=form, headers={"Idempotency-Key": "k"})

    assert send().json["id"] == send().json["id"]


def test_a_format_that_is_not_accepted_is_refused_by_name(submit):
    answer = submit(image=(io.BytesIO(a_picture("WEBP")), "x.webp"))

    assert (answer.status_code, answer.json["code"]) == (415, "unsupported_image")
    assert "takes no WebP; send PNG or JPEG" in answer.json["detail"]
