"""Tests colors, depth and transparency of decoded pictures."""

import io

import imagecodecs
import numpy as np
import pytest
from PIL import Image as Pillow

from shared.errors import ImageUnreadable
from tests.zoo import everything, icc, modern, png, tiff
from tests.zoo.specimen import PICTURE, encoded, pixels, transparent
from worker import images
from worker.dream.ascent import memory
from worker.images import color, large


def decode(data: bytes) -> images.Decoded:
    return images.decode(io.BytesIO(data), max_pixels=10**7)


RAMP = np.broadcast_to(np.linspace(10_000, 30_000, 64, dtype=np.uint16)[None, :, None], (4, 64, 3))
SIXTEEN = {
    "png": lambda: png.png(RAMP, 16, 2),
    "interlaced png": lambda: png.png(RAMP, 16, 2, interlaced=True),
    "gray png": lambda: png.png(np.ascontiguousarray(RAMP[..., :1]), 16, 0),
    "tiff": lambda: tiff.written(RAMP),
    "float tiff": lambda: tiff.written(RAMP.astype(np.float32) / 65535),
    "tiff with a profile": lambda: tiff.written(RAMP, iccprofile=color.SRGB),
    "png with a profile": lambda: png.with_chunks(
        png.png(RAMP, 16, 2), png.chunk(b"iCCP", b"i\0\0" + _packed(color.SRGB))
    ),
}


def _packed(data: bytes) -> bytes:
    return imagecodecs.zlib_encode(data)


@pytest.mark.parametrize("name", SIXTEEN)
def test_sixteen_bits_stay_sixteen_bits(name):
    image = decode(SIXTEEN[name]()).image

    np.testing.assert_allclose(image * 257, RAMP, atol=1.5)
    assert len(np.unique(image[..., 0])) == 64


@pytest.mark.parametrize("bits", [10, 12])
def test_an_avif_keeps_its_bits(bits):
    ramp = np.ascontiguousarray(np.broadcast_to(np.arange(200, 456, dtype=np.uint16)[None, :, None], (64, 256, 3)))
    data = imagecodecs.avif_encode(ramp, level=100, bitspersample=bits, speed=10)

    assert len(np.unique(decode(data).image[0, :, 1])) > 200


def test_a_heic_of_ten_bits_keeps_them():
    wide = np.ascontiguousarray(
        np.broadcast_to(np.arange(12_800, 45_568, 128, dtype=np.uint16)[None, :, None], (64, 256, 3))
    )
    data = modern.deep_heic(wide)

    assert len(np.unique(decode(data).image[0, :, 1])) > 150


@pytest.mark.parametrize("profile", [icc.P3, icc.ADOBE], ids=["Display P3", "Adobe RGB"])
def test_wide_colors_are_converted_and_not_rounded_to_eight_bits(profile):
    # given the same color in sRGB and in the wide profile
    srgb = np.full((8, 8, 3), (180.0, 120.0, 90.0), np.float32)
    wide = imagecodecs.cms_transform(
        np.rint(srgb * 257).astype(np.uint16), color.SRGB, profile, colorspace="rgb", outcolorspace="rgb"
    )
    data = tiff.written(wide, iccprofile=profile)

    # then
    assert np.abs(wide / 257 - srgb).max() > 5
    np.testing.assert_allclose(decode(data).image, srgb, atol=0.05)


def test_a_saturated_color_of_display_p3_becomes_a_stronger_one_in_srgb():
    red = encoded(Pillow.new("RGB", (16, 16), (200, 40, 40)), "PNG", icc_profile=icc.P3)

    r, g, b = decode(red).image[0, 0]
    assert r > 210
    assert max(g, b) < 40


def test_code_points_are_followed_like_a_profile():
    chunk = png.chunk(b"cICP", bytes([12, 13, 0, 1]))
    by_points = decode(png.with_chunks(png.plain(), chunk)).image
    assert np.abs(by_points - pixels()).max() > 5
    by_profile = decode(encoded(PICTURE, "PNG", icc_profile=_p3_with_srgb_curve())).image
    np.testing.assert_allclose(by_points, by_profile, atol=0.1)


def _p3_with_srgb_curve() -> bytes:
    return color._of_primaries(12)


def test_an_opaque_alpha_channel_is_no_transparency():
    assert decode(encoded(PICTURE.convert("RGBA"), "PNG")).alpha is None


def test_transparency_is_kept_and_the_ground_goes_on_from_the_edges():
    # given a green disc whose surroundings are clear, and black underneath
    y, x = np.mgrid[0:64, 0:64]
    alpha = (255 * ((x - 32) ** 2 + (y - 32) ** 2 < 400)).astype(np.uint8)
    rgba = np.zeros((64, 64, 4), np.uint8)
    rgba[..., 1] = np.where(alpha, 200, 0)
    rgba[..., 3] = alpha

    # when
    decoded = decode(encoded(Pillow.fromarray(rgba), "PNG"))

    # then neither black nor white shows at the edge
    np.testing.assert_array_equal(decoded.alpha, alpha)
    np.testing.assert_allclose(decoded.image[32, 32], (0, 200, 0), atol=0.01)
    assert np.abs(decoded.image - np.float32([0, 200, 0])).max() < 2


def test_a_picture_of_which_nothing_is_seen_lies_on_gray():
    clear = encoded(Pillow.new("RGBA", (20, 30), (255, 0, 0, 0)), "PNG")

    assert decode(clear).image.min() == decode(clear).image.max() == 127.5


def test_a_half_transparent_picture_of_one_color_keeps_it():
    half = encoded(Pillow.new("RGBA", (2100, 3), (10, 200, 30, 128)), "PNG")

    np.testing.assert_allclose(decode(half).image.reshape(-1, 3), [(10, 200, 30)] * 6300, atol=0.1)


@pytest.mark.parametrize("orientation", [3, 6])
def test_alpha_is_turned_with_its_picture(orientation):
    exif = Pillow.Exif()
    exif[0x0112] = orientation
    decoded = decode(encoded(Pillow.fromarray(transparent()), "PNG", exif=exif))

    assert decoded.alpha.shape == decoded.image.shape[:2]
    assert decoded.alpha.reshape(-1)[0 if orientation == 3 else -1] in {0, 255}
    assert decoded.alpha[0, 0] == (255 if orientation == 3 else 0)


def test_a_transparent_mask_is_white_where_nothing_is_drawn():
    drawn = Pillow.new("RGBA", (10, 10), (0, 0, 0, 0))
    drawn.paste((0, 0, 0, 255), (0, 0, 5, 10))
    mask = images.mask_of(images.decode(io.BytesIO(encoded(drawn, "PNG")), max_pixels=100, paper=True).image)

    assert (mask[:, :5].max(), mask[:, 5:].min()) == (0, 1)


def test_damaged_pixels_are_refused_with_a_sentence():
    data = png.png(pixels(), 8, 2)
    at = data.index(b"IDAT") + 10

    with pytest.raises(ImageUnreadable, match="can't be read"):
        decode(data[:at] + b"\xff" * 20 + data[at + 20 :])


@pytest.mark.slow
@pytest.mark.parametrize("specimen", everything.specimens(), ids=str)
def test_a_large_picture_is_decoded_like_a_small_one(monkeypatch, specimen):
    usual = decode(specimen.data)
    monkeypatch.setattr(large, "LARGE_PX", 0)
    monkeypatch.setattr(memory, "bytes_for_arrays", lambda: 0)  # all arrays are in files

    found = decode(specimen.data)

    assert np.array_equal(found.image, usual.image)
    assert np.array_equal(found.alpha, usual.alpha)
    assert found.notes == usual.notes
