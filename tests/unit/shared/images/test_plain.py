"""Tests that the stored copy has no places, dates or names, and is the same picture."""

import io

import imagecodecs
import numpy as np
import pytest

from shared.images.formats.plain import without_metadata
from shared.images.read import read_header
from tests.zoo import depth, exif, icc, jpeg, modern, png, tiff, webp
from tests.zoo.everything import specimens
from tests.zoo.specimen import PICTURE, encoded, pixels
from worker import images

pytestmark = pytest.mark.slow

SECRET = b"N48.8584 E2.2945"
BLOCK = exif.block(exif.orientation(6), (0x8825, 2, len(SECRET), b"\x26\0\0\0"), extra=SECRET)
TAGS = [(270, "s", 0, SECRET.decode(), True), (700, "B", len(SECRET), SECRET, True), (274, "H", 1, 6, True)]
PLAIN = encoded(PICTURE, "JPEG", quality=95)
FILES = {
    "jpeg": jpeg.with_exif(PLAIN, BLOCK),
    "phone": jpeg.phone(jpeg.with_exif(PLAIN, BLOCK), jpeg.with_exif(PLAIN, BLOCK)) + SECRET,
    "comment": jpeg.with_segments(PLAIN, jpeg.segment(0xFE, SECRET), jpeg.segment(0xED, SECRET)),
    "png": png.with_chunks(png.plain(), png.chunk(b"eXIf", BLOCK), png.chunk(b"tEXt", b"a\0" + SECRET)) + SECRET,
    "webp": webp.riff(webp.extended(0x0C), webp.coded(), webp.chunk(b"EXIF", BLOCK), webp.chunk(b"XMP ", SECRET)),
    "gif": encoded(PICTURE, "GIF", comment=SECRET) + SECRET,
    "tiff": tiff.written(pixels(np.uint16), extratags=TAGS, iccprofile=icc.P3),
    "big tiff": tiff.written(pixels(), extratags=TAGS, bigtiff=True, byteorder=">", tile=(16, 16)),
    "heic": modern.heic(exif=b"Exif\0\0" + BLOCK, xmp=SECRET) + b"\0\0\0\x18sefd" + SECRET,
    "heic in meta": depth.inside_meta(modern.heic(exif=b"Exif\0\0" + BLOCK, xmp=SECRET)),
    "heic sequence": modern.heic() + depth.box(b"moov", depth.box(b"udta", SECRET)),
    "jxl": imagecodecs.jpegxl_encode(pixels(), usecontainer=True) + depth.box(b"Exif", bytes(4) + BLOCK),
    "avif": encoded(PICTURE, "AVIF", exif=BLOCK, xmp=SECRET),
}


def stripped(data: bytes) -> bytes:
    into = io.BytesIO()
    without_metadata(io.BytesIO(data), read_header(io.BytesIO(data)), into)
    return into.getvalue()


@pytest.mark.parametrize("name", FILES)
def test_nothing_of_where_and_when_is_left(name):
    assert SECRET in FILES[name]
    assert SECRET not in stripped(FILES[name])


def test_the_largest_profile_that_a_jpeg_can_hold_is_kept():
    profile = icc.SRGB.ljust(255 * 65_519, b"\0")
    segments = jpeg.profile_segments(profile, piece=65_519)

    assert stripped(jpeg.with_segments(PLAIN, *segments)).startswith(b"\xff\xd8" + b"".join(segments))


@pytest.mark.parametrize("specimen", specimens(), ids=str)
def test_the_dream_sees_the_same_picture(specimen):
    # when
    before = images.decode(io.BytesIO(specimen.data), max_pixels=10**7)
    after = images.decode(io.BytesIO(stripped(specimen.data)), max_pixels=10**7)

    # then
    np.testing.assert_array_equal(before.image, after.image)
    assert (before.alpha is None) == (after.alpha is None)
