import io
import struct
import zlib

import pytest
from PIL import Image

from api.jobs import image_header as sniffing
from api.jobs.image_header import sniff
from shared.errors import ImageTooLarge, ImageUnreadable, UnsupportedImage
from tests.fakes.pictures import a_picture, a_turned_picture, an_animation, encode, without_chunk_order

KINDS = ("PNG", "JPEG", "WEBP")


def look(data: bytes, *, max_pixels: int = 1_000_000):
    return sniff(io.BytesIO(data), max_pixels=max_pixels)


@pytest.mark.parametrize("kind", KINDS)
def test_reads_format_and_size_from_the_header(kind):
    # given
    data = a_picture(kind, width=96, height=80)

    # when
    found = look(data)

    # then
    assert (found.format, found.width, found.height) == (kind.lower(), 96, 80)
    assert found.size_bytes == len(data)


def test_leaves_the_file_at_its_start():
    # given
    file = io.BytesIO(a_picture())

    # when
    sniff(file, max_pixels=1_000_000)

    # then
    assert file.tell() == 0


@pytest.mark.parametrize(
    ("kind", "mode", "options"),
    [
        ("PNG", "1", {}), ("PNG", "L", {}), ("PNG", "P", {}), ("PNG", "LA", {}), ("PNG", "RGBA", {}),
        ("PNG", "I;16", {}),
        ("JPEG", "L", {}), ("JPEG", "CMYK", {}), ("JPEG", "RGB", {"progressive": True}),
        ("WEBP", "RGBA", {}), ("WEBP", "RGB", {"lossless": True}), ("WEBP", "RGBA", {"lossless": True}),
        ("WEBP", "RGB", {"exif": b"Exif\0\0II*\0\x08\0\0\0\0\0\0\0\0\0"}),
    ],
)  # fmt: skip
def test_accepts_every_pixel_layout_of_these_formats(kind, mode, options):
    assert (look(a_picture(kind, mode=mode, **options)).width) == 96


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("orientation", "size"), [(3, (96, 80)), (6, (80, 96)), (8, (80, 96))])
def test_gives_the_size_as_displayed(kind, orientation, size):
    found = look(a_turned_picture(kind, orientation=orientation))

    assert (found.width, found.height) == size


def test_finds_a_pngs_orientation_behind_its_pixels():
    found = look(without_chunk_order(a_turned_picture("PNG"), b"eXIf"))

    assert (found.width, found.height) == (80, 96)


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_whose_metadata_makes_pillow_warn_is_refused(kind):
    # given EXIF data that announces more than it holds
    broken = a_picture(kind, exif=b"Exif\0\0II*\0\x08\0\0\0\xff\xff\x12\x01")

    # when, then
    with pytest.raises(ImageUnreadable, match="metadata is damaged"):
        look(broken)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("kept", [0.999, 0.9, 0.5, 0.1])
def test_a_picture_that_is_cut_off_is_unreadable(kind, kept):
    data = a_picture(kind, width=400, height=300)

    with pytest.raises(ImageUnreadable):
        look(data[: int(len(data) * kept)])


@pytest.mark.parametrize("kind", KINDS)
def test_what_phones_append_to_a_picture_does_not_matter(kind):
    assert look(a_picture(kind) + b"MotionPhoto" * 20_000).width == 96


@pytest.mark.parametrize("kind", ["PNG", "WEBP"])
def test_animations_are_refused_by_that_name(kind):
    with pytest.raises(UnsupportedImage, match="Animated"):
        look(an_animation(kind))


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (an_animation("GIF"), "a GIF"),
        (a_picture("BMP"), "a BMP"),
        (a_picture("TIFF"), "a TIFF"),
        (b"\0\0\0\x18ftypheic\0\0\0\0", "a HEIC"),
        (b"%PDF-1.7", "a PDF"),
        (b"hello", "not an image"),
        (b"", "not an image"),
    ],
)
def test_other_files_are_called_by_their_name(data, said):
    with pytest.raises(UnsupportedImage, match=said):
        look(data)


@pytest.mark.parametrize("kind", KINDS)
def test_too_many_pixels_are_refused(kind):
    data = a_picture(kind, width=96, height=80)

    with pytest.raises(ImageTooLarge, match="7,680 pixels"):
        look(data, max_pixels=96 * 80 - 1)
    assert look(data, max_pixels=96 * 80)


def test_a_bomb_is_refused_by_its_header_and_never_inflated():
    # given a small file that says it is 50,000 by 50,000
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")

    # when, then
    with pytest.raises(ImageTooLarge):
        look(bomb, max_pixels=120_000_000)


def test_metadata_as_large_as_a_file_is_not_read_into_memory(monkeypatch):
    # given
    monkeypatch.setattr(sniffing, "MAX_HEADER_BYTES", 10_000)
    stuffed = a_picture("JPEG", icc_profile=b"x" * 50_000)

    # when, then
    with pytest.raises(ImageUnreadable, match="metadata"):
        look(stuffed)


def test_a_png_in_millions_of_pieces_is_refused(monkeypatch):
    # given
    monkeypatch.setattr(sniffing, "MAX_PNG_CHUNKS", 3)
    data = encode(Image.effect_noise((400, 400), 50), "PNG")

    # when, then
    with pytest.raises(ImageUnreadable, match="parts"):
        look(data)


def test_no_pixel_is_decoded(monkeypatch):
    # given
    def decode(*_):
        raise AssertionError("decoded")

    pictures = [a_turned_picture(kind) for kind in KINDS]
    for module in (Image.Image, Image.core.WebPAnimDecoder if hasattr(Image.core, "WebPAnimDecoder") else Image.Image):
        monkeypatch.setattr(module, "load", decode, raising=False)
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", decode)

    # when, then
    assert [look(data).width for data in pictures] == [80, 80, 80]


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_byte_is_damaged_the_answer_is_an_answer(kind):
    data = a_picture(kind)
    for at in range(min(len(data), 700)):
        damaged = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
        try:
            found = look(damaged)
        except (ImageUnreadable, UnsupportedImage, ImageTooLarge):
            continue
        assert found.width > 0
