"""Tests encoded results: formats, tags, masks and gradients as pictures."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from worker import images
from worker.images import large

PICTURE = np.random.default_rng(0).uniform(0, 255, (40, 50, 3)).astype(np.float32)


def encoded(form, recipe=None):
    file = io.BytesIO()
    images.encode(PICTURE, file, format=form, recipe=recipe or {"seed": 1})
    return file.getvalue()


@pytest.mark.parametrize("form", ["png", "png16", "jpeg", "webp"])
def test_every_format_is_tagged_srgb_and_the_same_twice(form):
    assert encoded(form) == encoded(form)
    with Pillow.open(io.BytesIO(encoded(form))) as picture:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(picture.info["icc_profile"]))
        assert "sRGB" in ImageCms.getProfileDescription(profile)
        assert picture.size == (50, 40)


def test_a_picture_does_not_tell_when_its_process_started():
    with Pillow.open(io.BytesIO(encoded("png"))) as picture:
        assert picture.info["icc_profile"][24:36] == bytes.fromhex("07d0 0001 0001 0000 0000 0000")


def test_sixteen_bits_are_sixteen_bits():
    read = cv2.imdecode(np.frombuffer(encoded("png16"), np.uint8), cv2.IMREAD_UNCHANGED)[..., ::-1]
    assert np.abs(read / 257 - PICTURE).max() <= 0.5 / 257 + 1e-4


@pytest.mark.parametrize(("form", "side"), [("webp", 16_384), ("jpeg", 65_501)])
def test_a_dream_that_its_format_can_not_hold_becomes_a_png_and_says_so(form, side):
    file = io.BytesIO()

    made = images.encode(np.zeros((1, side, 3), np.float32), file, format=form, recipe={"seed": 1})

    assert made.format == "png"
    assert "The result is a PNG" in made.warnings[0]
    with Pillow.open(file) as picture:
        assert (picture.format, picture.size, picture.text["dreamqueue"]) == ("PNG", (side, 1), '{"seed": 1}')


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
@pytest.mark.parametrize(
    ("error", "why"), [(OSError("encoder error -2"), "encoder error -2"), (MemoryError(), "MemoryError")]
)
def test_an_encoder_that_fails_loses_no_dream(form, error, why, monkeypatch):
    def fail(self, file, kind, **_):
        file.write(b"half of it")
        raise error

    monkeypatch.setattr(Pillow.Image, "save", fail)
    file = io.BytesIO()
    made = images.encode(PICTURE, file, format=form, recipe={})

    assert (made.format, f"it failed: {why}." in made.warnings[0]) == ("png", True)
    monkeypatch.undo()
    with Pillow.open(file) as picture:
        np.testing.assert_array_equal(np.asarray(picture), images.to_pixels(PICTURE))


@pytest.mark.parametrize(("form", "depth"), [("png", 8), ("png16", 16), ("webp", 8)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_transparency_is_kept_and_grows_with_the_dream(form, depth, dtype):
    # given an alpha channel of half the dream's size
    alpha = np.zeros((20, 25), dtype)
    alpha[:, 12:] = np.iinfo(dtype).max
    file = io.BytesIO()

    # when
    made = images.encode(PICTURE, file, format=form, recipe={}, alpha=alpha)

    # then
    assert (made.format, made.warnings) == (form, ())
    read = cv2.imdecode(np.frombuffer(file.getvalue(), np.uint8), cv2.IMREAD_UNCHANGED)
    assert read.shape == (40, 50, 4)
    assert read.dtype == (np.uint8 if depth == 8 else np.uint16)
    assert (read[:, 0, 3].max(), read[:, -1, 3].min()) == (0, np.iinfo(read.dtype).max)


def test_a_format_without_transparency_says_what_it_shows_instead():
    file = io.BytesIO()
    made = images.encode(PICTURE, file, format="jpeg", recipe={}, alpha=np.zeros((4, 5), np.uint8))

    assert "JPEG" in made.warnings[0]
    with Pillow.open(file) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "RGB")


def test_a_mask_is_one_where_its_picture_is_white():
    picture = np.zeros((2, 2, 3), np.float32)
    picture[0, 0] = 255
    picture[1, 1] = 127.5
    np.testing.assert_allclose(images.mask_of(picture), [[1, 0], [0, 0.5]], atol=1e-6)


def test_a_gradient_of_nothing_is_gray_and_its_picture_is_a_png():
    file = io.BytesIO()
    images.write_gradient(np.zeros((4, 5, 3), np.float32), file)
    assert (np.asarray(Pillow.open(file)) == 128).all()


@pytest.mark.parametrize("alpha", [None, 8, 16])
@pytest.mark.parametrize("form", ["png", "jpeg"])
def test_a_large_picture_has_the_pixels_and_the_metadata_of_a_small_one(monkeypatch, form, alpha):
    random = np.random.default_rng(0)
    image = cv2.GaussianBlur(random.uniform(-40, 300, (300, 500, 3)).astype(np.float32), (0, 0), 3)
    mask = None if alpha is None else random.integers(0, 2**alpha, (300, 500)).astype(f"u{alpha // 8}")
    recipe = {"words": "ü" * 70_000}  # more than a JPEG's EXIF holds

    def saved():
        file = io.BytesIO()
        images.encode(image, file, format=form, recipe=recipe, alpha=mask)
        picture = Pillow.open(file)
        return np.asarray(picture), picture.info, file.getvalue()

    usual, usual_info, _ = saved()
    monkeypatch.setattr(large, "LARGE_PX", 0)
    pixels, info, data = saved()

    assert np.array_equal(pixels, usual)
    assert info == usual_info
    assert saved()[2] == data
