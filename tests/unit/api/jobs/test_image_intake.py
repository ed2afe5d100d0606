import io

import pytest
from PIL import Image

from api.jobs.image_intake import read_input_image
from shared.errors import ImageTooLarge, UnsupportedImage
from tests.fakes.pictures import a_picture, a_turned_picture


def look(data: bytes, *, max_pixels: int = 1_000_000, **options):
    return read_input_image(io.BytesIO(data), max_pixels=max_pixels, **options)


def test_gives_the_size_as_displayed_and_the_size_in_bytes():
    data = a_turned_picture("JPEG")

    found = look(data)

    assert (found.format, found.width, found.height, found.size_bytes) == ("jpeg", 80, 96, len(data))


def test_leaves_the_file_at_its_start():
    file = io.BytesIO(a_picture())

    read_input_image(file, max_pixels=1_000_000)

    assert file.tell() == 0


def test_too_many_pixels_are_refused():
    data = a_picture(width=96, height=80)

    with pytest.raises(ImageTooLarge, match="7,680 pixels"):
        look(data, max_pixels=96 * 80 - 1)
    assert look(data, max_pixels=96 * 80)


def test_a_format_that_is_switched_off_is_refused_by_its_name_with_those_that_are_not():
    with pytest.raises(UnsupportedImage, match="takes no WebP; send PNG or JPEG"):
        look(a_picture("WEBP"), formats=("png", "jpeg"))
    assert look(a_picture("JPEG"), formats=("png", "jpeg"))


def test_no_pixel_is_decoded(monkeypatch):
    # given
    def decode(*_):
        raise AssertionError("decoded")

    pictures = [a_turned_picture(kind) for kind in ("PNG", "JPEG", "WEBP", "TIFF", "AVIF")]
    monkeypatch.setattr(Image.Image, "load", decode)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)

    # when, then
    assert [look(data).width for data in pictures] == [80] * 5
