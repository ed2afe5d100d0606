"""Tests which headers are refused, and that refusing costs little."""

import io
import struct
import zlib

import pytest

from shared.errors import ImageUnreadable, UnsupportedImage
from shared.images.read import check_pixels, read_header
from tests.zoo import exif, jpeg, modern, png, tiff, webp
from tests.zoo.specimen import PICTURE, encoded, pixels
from worker import images

PLAIN = {
    "jpeg": encoded(PICTURE, "JPEG"),
    "progressive": encoded(PICTURE, "JPEG", progressive=True),
    "png": png.plain(),
    "webp": encoded(PICTURE, "WEBP"),
    "webp lossless": encoded(PICTURE, "WEBP", lossless=True),
    "gif": encoded(PICTURE, "GIF"),
    "tiff": tiff.written(pixels()),
    "big tiff": tiff.written(pixels(), bigtiff=True, tile=(16, 16)),
    "heic": modern.heic(),
    "avif": encoded(PICTURE, "AVIF"),
}


def read(data: bytes):
    return read_header(io.BytesIO(data))


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("kept", [0.98, 0.9, 0.5, 0.1])
def test_a_file_that_is_cut_off_is_refused_by_both_sides(name, kept):
    data = PLAIN[name][: int(len(PLAIN[name]) * kept)]

    with pytest.raises(ImageUnreadable):
        read(data)
    with pytest.raises(ImageUnreadable):
        images.decode(io.BytesIO(data), max_pixels=10**6)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (encoded(PICTURE, "BMP"), "a BMP"),
        (b"%PDF-1.7", "a PDF"),
        (b"<svg xmlns", "an SVG"),
        (b"\0\0\0\x18ftypisom\0\0\0\0", "a video"),
        (b"8BPS\0\1", "a Photoshop"),
        (b"hello", "not an image"),
        (b"", "The file is empty"),
    ],
)
def test_files_of_other_formats_are_named_in_the_refusal(data, message):
    with pytest.raises(UnsupportedImage, match=message):
        read(data)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (PLAIN["jpeg"].replace(b"\xff\xc0", b"\xff\xc3"), "lossless"),
        (tiff.written(pixels(), extratags=[(50706, "B", 4, b"\1\4\0\0", True)]), "raw file"),
        (tiff.written(pixels(), compression="jpegxl"), "compression"),
        (tiff.written(pixels(), photometric="cielab"), "colors"),
        (png.png(pixels(), 8, 2, before=png.chunk(b"CgBI", bytes(4))), "feature"),
    ],
)
def test_unreadable_variants_are_refused_with_the_reason(data, message):
    with pytest.raises(UnsupportedImage, match=message):
        read(data)


@pytest.mark.parametrize(
    "data",
    [
        png.plain()[:16] + bytes(4) + png.plain()[20:],
        png.png(pixels(), 8, 3),
        png.SIGNATURE + png.plain()[8:33] + png.chunk(b"IEND", b""),
        webp.riff(webp.extended(0)),
        webp.riff(b"VP8L" + struct.pack("<I", 5) + b"\x2f\xff\xff\xff\xff\0"),
        b"GIF89a" + struct.pack("<HHBBB", 5, 5, 0, 0, 0) + b";",
        b"II*\0\x08\0\0\0\0\0",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xda\0\x08\x01\x01\0\0\x3f\0\xff\xd9",
        b"\0\0\0\x18ftypheic\0\0\0\0",
        b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a\0\0\0\x08free",
    ],
)
def test_a_header_without_a_picture_is_unreadable(data):
    with pytest.raises(ImageUnreadable):
        read(data)


def test_a_bomb_is_refused_by_its_header_and_never_inflated():
    head = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = png.SIGNATURE + png.chunk(b"IHDR", head) + png.chunk(b"IDAT", zlib.compress(b"")) + png.chunk(b"IEND", b"")

    assert read(bomb).size == (50_000, 50_000)
    with pytest.raises(Exception, match="2,500,000,000 pixels"):
        check_pixels(read(bomb), 120_000_000)


class Counting(io.BytesIO):
    """Counts what is read of it."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.calls = self.bytes = 0

    def read(self, size=-1):
        piece = super().read(size)
        self.calls, self.bytes = self.calls + 1, self.bytes + len(piece)
        return piece


def box(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", 8 + len(body)) + name + body


def around(jpeg_part: bytes) -> bytes:
    return PLAIN["jpeg"][:2] + jpeg_part + PLAIN["jpeg"][2:]


def within(png_part: bytes) -> bytes:
    return png.plain()[:33] + png_part + png.plain()[33:]


GIF_START = b"GIF89a" + struct.pack("<HHBBB", 9, 9, 0x80, 0, 0) + bytes(6)
IFF = struct.pack(">HHH", 1, 0, 65535)
HOSTILE = {
    "jpeg padding": lambda: around(b"\xff" * 15_000_000),
    "jpeg empty segments": lambda: around(b"\xff\xe5\0\2" * 3_750_000),
    "jpeg stray bytes": lambda: around((b"\xff\xe5\0\2" + b"\xff\0" * 30_000) * 250 + b"\xff\0" * 60_000),
    "jpeg tables": lambda: around((b"\xff\xdb\0\x43" + bytes(65)) * 200_000),
    "jpeg ends in comments": lambda: PLAIN["jpeg"][:-2] + jpeg.segment(0xFE, b"\xff\xd9" * 30_000) * 300,
    "png empty texts": lambda: within(png.chunk(b"tEXt", b"") * 1_000_000),
    "png empty pixels": lambda: within(png.chunk(b"IDAT", b"") * 1_000_000),
    "webp chunks": lambda: webp.riff(webp.extended(0), b"ABCD\0\0\0\0" * 1_000_000, webp.coded()),
    "webp frames": lambda: webp.riff((b"ANMF" + struct.pack("<I", 16) + bytes(16)) * 600_000),
    "gif blocks": lambda: GIF_START + b"," + struct.pack("<HHHHB", 0, 0, 9, 9, 0) + b"\2" + b"\1x" * 7_000_000,
    "gif extensions": lambda: GIF_START + b"!\xfe\0" * 5_000_000,
    "heic boxes": lambda: modern.heic()[:28] + box(b"free", b"") * 1_000_000,
    "heic parts": lambda: (
        modern.heic()[:28]
        + box(b"meta", bytes(4) + box(b"iref", bytes(4) + box(b"dimg", b"\0\1\xff\xff" + bytes(131_070)) * 100))
    ),
    "heic places": lambda: (
        modern.heic()[:28] + box(b"meta", bytes(4) + box(b"iloc", b"\0\0\0\0\0\0\xff\xff" + IFF * 600_000))
    ),
    "jxl boxes": lambda: b"\0\0\0\x0cJXL \x0d\x0a\x87\x0a" + box(b"abcd", b"") * 1_000_000,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_header_of_a_million_parts_is_refused_after_a_bounded_number_of_steps(name):
    file = Counting(HOSTILE[name]())

    with pytest.raises(ImageUnreadable):
        read_header(file)
    assert file.calls < 60_000
    assert file.bytes < 250_000_000


def test_padding_again_and_again_is_not_searched_to_its_end():
    file = Counting(around((b"\xff" * 65_000 + b"\xd0") * 1_700))

    with pytest.raises(ImageUnreadable, match="more parts"):
        read_header(file)
    assert file.bytes < 60_000_000


def test_the_picture_of_a_large_file_in_usual_pieces_is_not_refused():
    data = png.png(pixels(), 8, 2, before=png.chunk(b"tEXt", b"a\0b") * 30_000)

    assert read(data).size == PICTURE.size


@pytest.mark.parametrize("value", range(1, 9))
def test_the_orientation_is_read_by_itself(value):
    note = "EXIF data can't be read"
    turned = jpeg.with_exif(PLAIN["jpeg"], exif.block(exif.orientation(value)))
    broken = jpeg.with_exif(PLAIN["jpeg"], b"II*\0\xff\xff\xff\x7f")

    assert (read(turned).orientation, read(turned).notes) == (value, ())
    assert read(broken).orientation == 1
    assert note in " ".join(read(broken).notes)


@pytest.mark.parametrize(("primaries", "noted"), [((0b01, 2), False), ((0b10, 2, 0, 4), True)])  # sRGB's, custom
def test_a_jpeg_xl_with_primaries_of_its_own_is_read_as_srgb_with_a_note(primaries, noted):
    # given the bits of an image header, each number with its count of bits
    size, defaults = (1, 1, 3, 5, 1, 3), (0, 1, 0, 1, 0, 1, 0, 2, 1, 1, 0, 2, 0, 1)
    colors = (0, 1, 0, 1, 0, 2, 0b01, 2, *primaries, *(0, 2, 0, 19) * 6 * noted, 0, 1, 0b10, 2, 11, 4)
    fields = (*size, *defaults, *colors)
    bits = "".join(f"{number:0{count}b}"[::-1] for number, count in zip(fields[::2], fields[1::2], strict=True))
    data = b"\xff\x0a" + int(bits[::-1], 2).to_bytes(64, "little")

    # when
    header = read_header(io.BytesIO(data))

    # then
    assert (header.size, header.colors.transfer) == ((32, 32), 13)
    assert ("color profile" in " ".join(header.notes)) is noted
