"""What leaves: formats, tags, masks and gradients as pictures."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image as Pillow
from PIL import ImageCms

from shared.errors import UnsupportedImage
from worker import images

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
def test_a_side_that_the_format_can_not_hold_is_refused(form, side):
    with pytest.raises(UnsupportedImage, match="ask for png"):
        images.encode(np.zeros((1, side, 3), np.float32), io.BytesIO(), format=form, recipe={})


def test_a_mask_is_one_where_its_picture_is_white():
    picture = np.zeros((2, 2, 3), np.float32)
    picture[0, 0] = 255
    picture[1, 1] = 127.5
    np.testing.assert_allclose(images.mask_of(picture), [[1, 0], [0, 0.5]], atol=1e-6)


def test_a_gradient_of_nothing_is_grey_and_its_picture_is_a_png():
    gray = np.asarray(Pillow.open(io.BytesIO(images.gradient_picture(np.zeros((4, 5, 3), np.float32)))))
    assert (gray == 128).all()
