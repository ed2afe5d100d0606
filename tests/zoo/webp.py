"""WebPs and GIFs."""

import io
import struct
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.zoo import exif, icc
from tests.zoo.specimen import HEIGHT, PICTURE, WIDTH, Specimen, encoded, transparent, turned

CLEAR = Image.fromarray(transparent())


def chunk(name: bytes, body: bytes) -> bytes:
    return name + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)


def riff(*chunks: bytes) -> bytes:
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def extended(flags: int, width: int = WIDTH, height: int = HEIGHT) -> bytes:
    return chunk(
        b"VP8X", bytes([flags, 0, 0, 0]) + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )


def coded(picture: Image.Image = PICTURE, **options) -> bytes:
    """Returns the chunk that holds the pixels."""
    return encoded(picture, "WEBP", **{"quality": 95, **options})[12:]


def specimens() -> Iterator[Specimen]:
    yield from _webps()
    yield from _gifs()


def _webps() -> Iterator[Specimen]:
    lossy, lossless = coded(), coded(lossless=True)
    for name, data in {"lossy": lossy, "lossless": lossless}.items():
        yield Specimen(f"webp-{name}", riff(data))
        yield Specimen(f"webp-{name}-extended", riff(extended(0), data))
        for flags in (0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x3E, 0xFF):
            yield Specimen(f"webp-{name}-flags-{flags:02x}", riff(extended(flags), data))
        for width, height in ((1, 1), (WIDTH + 1, HEIGHT), (WIDTH, HEIGHT - 1), (16384, 16384)):
            yield Specimen(f"webp-{name}-canvas-{width}x{height}", riff(extended(0, width, height), data))
        yield Specimen(f"webp-{name}-clear", encoded(CLEAR, "WEBP", lossless=name == "lossless"), None)
    yield Specimen("webp-gray", encoded(PICTURE.convert("L"), "WEBP", quality=95), PICTURE.convert("L"))
    for name, block, value in [*exif.sound(), *exif.damaged()]:
        yield Specimen(f"webp-exif-{name}", riff(extended(0x08), lossy, chunk(b"EXIF", block)), turned(value))
    six = exif.block(exif.orientation(6))
    yield Specimen("webp-exif-like-jpeg", riff(extended(8), lossy, chunk(b"EXIF", b"Exif\0\0" + six)), turned(6))
    yield Specimen("webp-exif-unannounced", riff(extended(0), lossy, chunk(b"EXIF", six)), turned(6))
    yield Specimen("webp-exif-announced", riff(extended(0x08), lossy))
    for name, profile, ignored in icc.profiles():
        shown = PICTURE if ignored or name.startswith("srgb") else None
        data = riff(extended(0x20), chunk(b"ICCP", profile), lossy)
        yield Specimen(f"webp-icc-{name}", data, shown, note="olor profile" if ignored else "")
    for name, tail in {
        "broken-xmp": chunk(b"XMP ", b"<x:xmpmeta <<"),
        "unknown": chunk(b"ABCD", b"1234567"),
        "cut-metadata": b"XMP \xff\xff\0\0",
        "loose-bytes": b"\0\0\0\0",
    }.items():
        yield Specimen(f"webp-{name}", riff(extended(0x04), lossy, tail))
    yield Specimen("webp-then-zeros", riff(lossy) + bytes(999))
    unpadded = coded(Image.new("RGB", (WIDTH, HEIGHT)), lossless=True)
    yield Specimen("webp-unpadded", riff(unpadded).rstrip(b"\0"), None)
    yield from _animations(lossy)


def _animations(lossy: bytes) -> Iterator[Specimen]:
    red = Image.new("RGB", PICTURE.size, "red")
    moving = encoded(PICTURE, "WEBP", save_all=True, append_images=[red], quality=95)
    yield Specimen("webp-animated", moving, note="animated")
    moving = encoded(CLEAR, "WEBP", save_all=True, append_images=[red], lossless=True)
    yield Specimen("webp-animated-clear", moving, None, note="animated")

    def frame(left: int, top: int) -> bytes:
        numbers = (left // 2, top // 2, WIDTH - 1, HEIGHT - 1, 100)
        return chunk(b"ANMF", b"".join(number.to_bytes(3, "little") for number in numbers) + b"\0" + lossy)

    start = chunk(b"ANIM", bytes(6))
    placed = Image.new("RGB", (WIDTH + 10, HEIGHT + 20))
    placed.paste(PICTURE, (10, 20))
    data = riff(extended(0x02, WIDTH + 10, HEIGHT + 20), start, frame(10, 20), frame(0, 0))
    yield Specimen("webp-animated-placed", data, None, note="animated")
    yield Specimen("webp-animated-unannounced", riff(extended(0), start, frame(0, 0)), note="animated")
    yield Specimen("webp-animated-one", riff(extended(0x02), start, frame(0, 0)), note="animated")
    yield Specimen("webp-announced-animated", riff(extended(0x02), lossy))


def _gifs() -> Iterator[Specimen]:
    few = PICTURE.quantize(256)
    for name, options in {
        "plain": {},
        "interlaced": {"interlace": True},
        "comment": {"comment": b"c" * 3000},
        "optimized": {"optimize": True},
        "clear": {"transparency": 3},
    }.items():
        shown = None if name == "clear" else few.convert("RGB")
        yield Specimen(f"gif-{name}", encoded(few, "GIF", **options), shown, tolerance=8)
    yield Specimen("gif-gray", encoded(PICTURE.convert("L"), "GIF"), PICTURE.convert("L"))
    yield Specimen("gif-two-colors", encoded(PICTURE.convert("1"), "GIF"), PICTURE.convert("1"))
    file = io.BytesIO()
    few.save(file, "GIF", save_all=True, append_images=[Image.new("RGB", PICTURE.size, "red")], duration=50, loop=0)
    moving = file.getvalue()
    yield Specimen("gif-animated", moving, few.convert("RGB"), tolerance=8, note="animated")
    yield Specimen("gif-animated-cut", moving[:-40], few.convert("RGB"), tolerance=8)
    plain = encoded(few, "GIF")
    yield Specimen("gif-no-trailer", plain[:-1], few.convert("RGB"), tolerance=8)
    yield Specimen("gif-then-zeros", plain + bytes(99), few.convert("RGB"), tolerance=8)
    frame_at = plain.index(b",", 13 + 3 * 256)
    xmp = b"!\xff\x0bXMP DataXMP<x:xmpmeta/>" + b"\x01" + bytes(range(255, -1, -1)) + b"\0"
    for name, part in {
        "xmp": xmp,
        "icc": b"!\xff\x0bICCRGBG1012\x05abcde\0",
        "plain-text": b"!\x01\x0c" + bytes(12) + b"\x02hi\0",
        "controls": b"!\xf9\x04\x01\0\0\x03\0" + b"!\xf9\x04\0\0\0\0\0",
        "unknown": b"!\x99\x03abc\0",
    }.items():
        data = plain[:frame_at] + part + plain[frame_at:]
        yield Specimen(f"gif-{name}", data, few.convert("RGB"), tolerance=8)
    flags = bytes([plain[frame_at + 9] | 0x87])
    own = plain[frame_at : frame_at + 9] + flags + plain[13 : 13 + 3 * 256] + plain[frame_at + 10 :]
    yield Specimen("gif-own-palette", plain[:10] + b"\0" + plain[11:13] + own, few.convert("RGB"), tolerance=8)
    yield Specimen("gif-old", b"GIF87a" + plain[6:], few.convert("RGB"), tolerance=8)
    yield Specimen("gif-no-screen", plain[:6] + bytes(4) + plain[10:], few.convert("RGB"), tolerance=8)
    larger = struct.pack("<HH", WIDTH + 8, HEIGHT + 4)
    yield Specimen("gif-larger-screen", plain[:6] + larger + plain[10:], None)
    placed = plain[: frame_at + 1] + struct.pack("<HH", 5, 7) + plain[frame_at + 5 :]
    yield Specimen("gif-placed-outside", placed, None)
    assert np.asarray(few).shape == (HEIGHT, WIDTH)
