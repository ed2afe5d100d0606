"""Makes JPEGs."""

import base64
import io
import struct
from collections.abc import Iterator

import imagecodecs
import numpy as np
from PIL import Image

from tests.zoo import exif, icc
from tests.zoo.specimen import GRAY, PICTURE, Specimen, encoded, pixels, turned

# Pillow can't write arithmetic coding: made of the same picture with libjpeg-turbo's cjpeg -arithmetic.
ARITHMETIC = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx"
    "NDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy"
    "MjIyMjIyMjL/yQARCAAgADADASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwDRZuXiuOITGl+XkA7Mje7eeJPOabwn"
    "JXpW9wYFG4402oRWhwk+gJ4xGmkzbbscpwA8ChE5YgJMOLnCY3cYEiHKongkv1JLLvh8h69Lushc7ib6Bj1nEvgaJ6MmwP/Z"
)
ARITHMETIC_PROGRESSIVE = (
    "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAgGBgcGBQgHBwcJCQgKDBQNDAsLDBkSEw8UHRofHh0aHBwgJC4nICIsIxwcKDcpLDAx"
    "NDQ0Hyc5PTgyPC4zNDL/2wBDAQkJCQwLDBgNDRgyIRwhMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIyMjIy"
    "MjIyMjIyMjL/ygARCAAgADADASIAAhEBAxEB/8wABgAQARD/2gAMAwEAAhADEAAAAc5t1e4tJLpHs5r529YAHepwmh/lFTqE8mdV"
    "ux/YIPNbgP/MAAQQBf/aAAgBAQABBQIQYGP3M+yqR53e973ve973wP/MAAQRBf/aAAgBAwEBPwEa5+aFDTT/zAAEEQX/2gAIAQIB"
    "AT8Bonbj6UcO/8wABBAF/9oACAEBAAY/ArD/zAAEEAX/2gAIAQEAAT8hA8uaekD/2gAMAwEAAgADAAAAEKc3w2Lo/8wABBEF/9oA"
    "CAEDAQE/ENH6/8wABBEF/9oACAECAQE/EMBDUvmCCP/MAAQQBf/aAAgBAQABPxBMN04GOfSP0gae3gWA/9k="
)


def segment(marker: int, body: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(body)) + body


def with_segments(jpeg: bytes, *segments: bytes) -> bytes:
    """Inserts segments right after the start marker."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def with_exif(jpeg: bytes, block: bytes) -> bytes:
    return with_segments(jpeg, segment(0xE1, b"Exif\0\0" + block))


def profile_segments(profile: bytes, *, piece: int = 60_000) -> list[bytes]:
    pieces = [profile[at : at + piece] for at in range(0, len(profile), piece)] or [b""]
    return [segment(0xE2, b"ICC_PROFILE\0" + bytes([at + 1, len(pieces)]) + part) for at, part in enumerate(pieces)]


def mpf(first_size: int, second_size: int, second_at: int, count: int = 2) -> bytes:
    """Returns the index of a file with several pictures (CIPA DC-007)."""
    entries = struct.pack("<IIIHH", 0x030000, first_size, 0, 0, 0) + struct.pack(
        "<IIIHH", 0, second_size, second_at, 0, 0
    )
    directory = struct.pack("<H", 3)
    directory += struct.pack("<HHI4s", 0xB000, 7, 4, b"0100")
    directory += struct.pack("<HHII", 0xB001, 4, 1, count)
    directory += struct.pack("<HHII", 0xB002, 7, len(entries), 50)
    return segment(0xE2, b"MPF\0II*\0\x08\0\0\0" + directory + struct.pack("<I", 0) + entries)


def phone(jpeg: bytes, second: bytes, **changed) -> bytes:
    """Returns a JPEG with a second picture after it, as phones write. changed: wrong fields of the index."""
    index_bytes = len(mpf(0, 0, 0))
    first_size = len(jpeg) + index_bytes
    says = {"first_size": first_size, "second_size": len(second), "second_at": first_size - 10} | changed
    return with_segments(jpeg, mpf(**says)) + second


def specimens() -> Iterator[Specimen]:
    yield from _codings()
    yield from _colors()
    for name, block, value in [*exif.sound(), *exif.damaged()]:
        yield Specimen(f"jpeg-exif-{name}", with_exif(encoded(PICTURE, "JPEG", quality=95), block), turned(value))
    yield from _profiles()
    yield from _several()
    yield from _surroundings()


def _codings() -> Iterator[Specimen]:
    for subsampling in range(3):
        yield Specimen(f"jpeg-subsampling-{subsampling}", encoded(PICTURE, "JPEG", quality=90, subsampling=subsampling))
    for name, options in {
        "baseline": {},
        "progressive": {"progressive": True},
        "optimized": {"optimize": True},
        "restarts": {"restart_marker_rows": 1},
        "progressive-restarts": {"progressive": True, "restart_marker_blocks": 1},
        "rgb": {"keep_rgb": True},
        "poor": {"quality": 30},
        "best": {"quality": 100, "subsampling": 0},
        "density": {"dpi": (300, 300)},
        "comment": {"comment": b"\xff\xfe not text \0"},
    }.items():
        yield Specimen(f"jpeg-{name}", encoded(PICTURE, "JPEG", **options), tolerance=10)
        if name != "rgb":
            yield Specimen(f"jpeg-gray-{name}", encoded(GRAY, "JPEG", **options), GRAY, tolerance=10)
    yield Specimen("jpeg-arithmetic", base64.b64decode(ARITHMETIC))
    yield Specimen("jpeg-arithmetic-progressive", base64.b64decode(ARITHMETIC_PROGRESSIVE))
    twelve = imagecodecs.jpeg_encode(pixels(np.uint16) >> 4, bitspersample=12, level=95)
    yield Specimen("jpeg-12-bits", twelve)
    gray12 = imagecodecs.jpeg_encode(np.asarray(GRAY).astype(np.uint16) << 4, bitspersample=12, level=95)
    yield Specimen("jpeg-12-bits-gray", gray12, GRAY)


def _colors() -> Iterator[Specimen]:
    cmyk = PICTURE.convert("CMYK")
    for name, options in {"cmyk": {}, "cmyk-progressive": {"progressive": True}}.items():
        yield Specimen(f"jpeg-{name}", encoded(cmyk, "JPEG", quality=95, **options))
    for space in ("YCCK", "CMYK"):
        inks = 255 - np.asarray(cmyk)
        data = imagecodecs.jpeg_encode(np.ascontiguousarray(inks), colorspace="CMYK", outcolorspace=space, level=98)
        yield Specimen(f"jpeg-adobe-{space.lower()}", data)
    plain = encoded(PICTURE, "JPEG", quality=95)
    rgb = encoded(PICTURE, "JPEG", quality=95, keep_rgb=True)
    for transform, data in ((1, plain), (0, rgb)):
        adobe = segment(0xEE, b"Adobe\0\x64\0\0\0\0" + bytes([transform]))
        yield Specimen(f"jpeg-adobe-transform-{transform}", with_segments(data, adobe))
        yield Specimen(f"jpeg-adobe-transform-{transform}-no-jfif", without_jfif(data, adobe))
    yield Specimen("jpeg-no-jfif", without_jfif(plain))
    yield Specimen("jpeg-app14-of-others", with_segments(plain, segment(0xEE, b"Other\0\0\0\0\0\0\0")))


def without_jfif(jpeg: bytes, *segments: bytes) -> bytes:
    at = jpeg.find(b"\xff\xe0")
    bare = jpeg if at < 0 else jpeg[:at] + jpeg[at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big") :]
    return with_segments(bare, *segments)


def _profiles() -> Iterator[Specimen]:
    plain, gray = encoded(PICTURE, "JPEG", quality=95), encoded(GRAY, "JPEG", quality=95)
    for name, profile, ignored in icc.profiles():
        note = "olor profile" if ignored else ""
        data = with_segments(plain, *profile_segments(profile))
        yield Specimen(f"jpeg-icc-{name}", data, PICTURE if ignored or name.startswith("srgb") else None, note=note)
    for name, profile in {"gray": icc.GRAY, "rgb": icc.SRGB}.items():
        yield Specimen(f"jpeg-gray-icc-{name}", with_segments(gray, *profile_segments(profile)), None)
    cmyk = encoded(PICTURE.convert("CMYK"), "JPEG", quality=95, icc_profile=icc.SRGB)
    yield Specimen("jpeg-cmyk-icc-rgb", cmyk, note="not for cmyk")
    pieces = profile_segments(icc.P3, piece=200)
    yield Specimen("jpeg-icc-many-pieces", with_segments(plain, *pieces), None)
    yield Specimen("jpeg-icc-backwards", with_segments(plain, *reversed(pieces)), None)
    yield Specimen("jpeg-icc-lost-piece", with_segments(plain, *pieces[1:]), note="incomplete")
    yield Specimen("jpeg-icc-piece-twice", with_segments(plain, pieces[0], *pieces), None)
    yield Specimen("jpeg-icc-number-zero", with_segments(plain, segment(0xE2, b"ICC_PROFILE\0\0\0" + icc.P3)))


def _several() -> Iterator[Specimen]:
    plain = encoded(PICTURE, "JPEG", quality=95)
    other = encoded(Image.new("RGB", (90, 20), "red"), "JPEG")
    file = io.BytesIO()
    PICTURE.save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (90, 20), "red")], quality=95)
    yield Specimen("jpeg-mpo", file.getvalue())
    whole = phone(plain, other)
    yield Specimen("jpeg-phone", whole)
    yield Specimen("jpeg-phone-turned", with_exif(whole, exif.block(exif.orientation(6))), turned(6))
    for cut in (1, len(other) // 2, len(other)):
        yield Specimen(f"jpeg-stale-index-{cut}", whole[:-cut])
    for name, changed in {
        "outside": {"second_at": 2**31},
        "itself": {"second_at": 0},
        "before": {"second_at": 4},
        "huge": {"second_size": 2**32 - 1},
        "counts-none": {"count": 0},
        "counts-many": {"count": 2**31},
    }.items():
        yield Specimen(f"jpeg-index-{name}", phone(plain, other, **changed))
    yield Specimen("jpeg-index-cut", with_segments(plain, segment(0xE2, b"MPF\0II*\0\x08\0")) + other)
    yield Specimen("jpeg-index-of-bytes", with_segments(plain, segment(0xE2, b"MPF\0" + b"\xff" * 90)) + other)
    yield Specimen("jpeg-ultra-hdr", phone(with_segments(plain, _gain_map_note()), encoded(GRAY, "JPEG")))
    yield Specimen("jpeg-depth-map", with_segments(plain, *_depth_map()))
    yield Specimen("jpeg-three", whole + encoded(GRAY, "JPEG"))


def _gain_map_note() -> bytes:
    text = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description hdrgm:Version="1.0"/></x:xmpmeta>'
    return segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + text)


def _depth_map() -> Iterator[bytes]:
    for at in range(0, 200_000, 60_000):
        head = b"http://ns.adobe.com/xmp/extension/\0" + b"A" * 32 + struct.pack(">II", 200_000, at)
        yield segment(0xE1, head + b"\xff\xd9\xff\xd8" * 15_000)


def between_scans(jpeg: bytes, part: bytes) -> bytes:
    """Inserts segments before the last scan of a progressive JPEG."""
    at = jpeg.rindex(b"\xff\xda")
    return jpeg[:at] + part + jpeg[at:]


def _surroundings() -> Iterator[Specimen]:
    plain = encoded(PICTURE, "JPEG", quality=95)
    progressive = encoded(PICTURE, "JPEG", quality=95, progressive=True)
    for name, body in {"end": b"\xff\xd9" * 5, "picture": plain, "long": b"\xff\xd9" * 30_000}.items():
        yield Specimen(f"jpeg-between-scans-{name}", between_scans(progressive, segment(0xFE, body)))
    samsung = b"\0\0\x01\x0a\x0e\0\0\0Image_UTC_Data1700000000000SEFH\x6b\0\0\0\x01\0\0\0\0\0\x01\x0a\x23\0\0\0SEFT"
    for name, tail in {
        "zeros": bytes(5000),
        "text": b"trailing" * 100,
        "samsung": samsung,
        "motion-photo": b"\0\0\0\x18ftypmp42\0\0\0\0isommp42" + bytes(3000),
        "end-again": b"\xff\xd9",
        "start-again": b"\xff\xd8\xff",
        "line-end": b"\r\n",
    }.items():
        yield Specimen(f"jpeg-then-{name}", plain + tail)
    for name, parts in {
        "thumbnail": [segment(0xE0, b"JFXX\0\x10" + encoded(GRAY, "JPEG"))],
        "photoshop": [segment(0xED, b"Photoshop 3.0\x008BIM\x04\x04" + b"\xff" * 50)],
        "broken-xmp": [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta <<<&&&")],
        "xmp-orientation": [segment(0xE1, b'http://ns.adobe.com/xap/1.0/\0<rdf:Description tiff:Orientation="6"/>')],
        "empty-exif": [segment(0xE1, b"Exif\0\0")],
        "empty-segments": [segment(marker, b"") for marker in range(0xE1, 0xF0)],
        "exif-twice": [segment(0xE1, b"Exif\0\0" + exif.block(exif.orientation(value))) for value in (1, 6)],
        "apple": [
            segment(0xE1, b"Exif\0\0" + exif.block((0x927C, 7, 14, struct.pack("<I", 26)), extra=b"Apple iOS\0"))
        ],
        "comments": [segment(0xFE, b"c" * 50_000)] * 40,
        "fill-bytes": [b"\xff" * 500],
        "stray-bytes": [segment(0xFE, b"comment"), b"\0\0\0"],
        "c2pa": [segment(0xEB, b"JP\0\0" + bytes(60_000))] * 5,
    }.items():
        yield Specimen(f"jpeg-{name}", with_segments(plain, *parts))
