"""Makes TIFFs."""

import io
import struct
from collections.abc import Iterator

import numpy as np
import tifffile
from PIL import Image

from tests.zoo import icc
from tests.zoo.specimen import GRAY, PICTURE, Specimen, encoded, pixels, transparent, turned

GRAYS = {
    np.uint8: np.asarray(GRAY),
    np.uint16: np.asarray(GRAY).astype(np.uint16) * 257,
    np.float32: np.asarray(GRAY, np.float32) / 255,
}


def written(array, **options) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, array, **{"metadata": None, "photometric": "rgb", **options})
    return file.getvalue()


def specimens() -> Iterator[Specimen]:
    yield from _numbers()
    yield from _layouts()
    yield from _colors()
    for orientation in range(1, 9):
        tag = [(274, "H", 1, orientation, True)]
        yield Specimen(f"tiff-orientation-{orientation}", written(pixels(), extratags=tag), turned(orientation))
        data = written(pixels(np.uint16), extratags=tag, bigtiff=True, byteorder=">", tile=(16, 16))
        yield Specimen(f"tiff-orientation-{orientation}-bigtiff", data, turned(orientation))
    for orientation in (0, 9, 65535):
        tag = [(274, "H", 1, orientation, True)]
        yield Specimen(f"tiff-orientation-{orientation}", written(pixels(), extratags=tag), note="orientation")
    for kind, number in {"byte": "B", "long": "I", "long8": "Q"}.items():
        data = written(pixels(), extratags=[(274, number, 1, 6, True)], bigtiff=number == "Q")
        yield Specimen(f"tiff-orientation-as-{kind}", data, turned(6))
    yield Specimen("tiff-orientation-twice", written(pixels(), extratags=[(274, "H", 2, (6, 3), True)]), turned(6))
    for kind, number, value in (("text", "s", "6"), ("float", "d", 6.0), ("signed", "i", 6)):
        data = written(pixels(), extratags=[(274, number, 0 if kind == "text" else 1, value, True)])
        yield Specimen(f"tiff-orientation-as-{kind}", data, note="orientation")
    for name, profile, ignored in icc.profiles():
        shown = PICTURE if ignored or name.startswith("srgb") else None
        data = written(pixels(np.uint16), iccprofile=profile)
        yield Specimen(f"tiff-icc-{name}", data, shown, note="olor profile" if ignored else "")
    yield from _extras()


def _numbers() -> Iterator[Specimen]:
    for dtype in (np.uint8, np.uint16, np.uint32, np.float16, np.float32, np.float64):
        for name, options in {
            "plain": {},
            "big-endian": {"byteorder": ">"},
            "bigtiff": {"bigtiff": True},
            "tiled": {"tile": (16, 16)},
            "lzw": {"compression": "lzw", "predictor": True},
            "deflate": {"compression": "zlib", "predictor": True, "tile": (16, 16)},
        }.items():
            yield Specimen(f"tiff-{np.dtype(dtype)}-{name}", written(pixels(dtype), **options))


def _layouts() -> Iterator[Specimen]:
    for compression in (None, "lzw", "zlib", "packbits", "zstd", "lzma"):
        for name, options in {"planes": {"planarconfig": "separate"}, "strips": {"rowsperstrip": 3}}.items():
            array = np.moveaxis(pixels(np.uint16), -1, 0) if name == "planes" else pixels(np.uint16)
            yield Specimen(f"tiff-{name}-{compression}", written(array, compression=compression, **options))
    for options in ({}, {"tile": (16, 16)}, {"bigtiff": True, "byteorder": ">"}):
        name = "-".join(options) or "plain"
        yield Specimen(f"tiff-jpeg-{name}", written(pixels(), compression="jpeg", **options), tolerance=12)
    yield Specimen("tiff-jpeg-ycbcr", encoded(PICTURE, "TIFF", compression="jpeg", quality=95))
    yield Specimen("tiff-webp", written(pixels(), compression="webp"), tolerance=12)
    pages = io.BytesIO()
    with tifffile.TiffWriter(pages) as writer:
        writer.write(pixels(), photometric="rgb", metadata=None)
        writer.write(np.zeros((5, 7), np.uint8), metadata=None)
    yield Specimen("tiff-two-pages", pages.getvalue())


def _colors() -> Iterator[Specimen]:
    for dtype, gray in GRAYS.items():
        name = np.dtype(dtype)
        yield Specimen(f"tiff-gray-{name}", written(gray, photometric="minisblack"), GRAY)
        yield Specimen(f"tiff-gray-{name}-lzw", written(gray, photometric="minisblack", compression="lzw"), GRAY)
        if name.kind == "u":
            inverted = np.iinfo(dtype).max - gray
            yield Specimen(f"tiff-white-is-zero-{name}", written(inverted, photometric="miniswhite"), GRAY)
        for kind in ("unassalpha", "assocalpha", "unspecified"):
            both = transparent(dtype)
            shown = PICTURE if kind == "unspecified" else None
            yield Specimen(f"tiff-{kind}-{name}", written(both, extrasamples=[kind]), shown)
    for mode, compression in (
        *((("1", name)) for name in (None, "group3", "group4", "tiff_ccitt", "packbits", "tiff_lzw")),
        *((("P", name)) for name in (None, "tiff_lzw", "tiff_adobe_deflate")),
        *((("LA", name)) for name in (None, "tiff_lzw")),
        *((("CMYK", name)) for name in (None, "tiff_lzw")),
        ("RGBA", "tiff_lzw"),
        ("I;16", None),
    ):
        picture = Image.fromarray(GRAYS[np.uint16]) if mode == "I;16" else PICTURE.convert(mode)
        shown = picture.convert("RGB") if mode in {"1", "P", "CMYK", "LA", "RGBA"} else GRAY
        yield Specimen(f"tiff-pillow-{mode}-{compression}", encoded(picture, "TIFF", compression=compression), shown)
    inks = (255 - np.asarray(PICTURE)).astype(np.uint16) * 257
    cmyk = np.concatenate([inks, np.zeros_like(inks[..., :1])], axis=-1)
    yield Specimen("tiff-cmyk-16", written(cmyk, photometric="separated"))
    bright = pixels(np.float32) * 4
    yield Specimen("tiff-float-bright", written(bright), None, note="white")
    holes = pixels(np.float32).copy()
    holes[3, 4] = np.nan
    holes[5, 6] = np.inf
    yield Specimen("tiff-float-holes", written(holes))


def _extras() -> Iterator[Specimen]:
    for name, tag in {
        "description": (270, "s", 0, "d" * 90_000, True),
        "xmp": (700, "B", 9, b"<x:xmp <<", True),
        "photoshop": (34377, "B", 60_000, bytes(60_000), True),
        "unknown": (65000, "d", 3, (1.0, 2.0, 3.0), True),
        "copyright": (33432, "B", 4, b"\xa9 \xff\xfe", True),
    }.items():
        yield Specimen(f"tiff-{name}", written(pixels(), extratags=[tag]))
    plain = written(pixels())
    for name, tag in {"exif": 34665, "gps": 34853, "xmp": 700, "photoshop": 34377, "newspaper": 33723}.items():
        for place in (0, 8, 2**31):
            yield Specimen(f"tiff-{name}-at-{place}", _with_entry(plain, (tag, 4, 2, place)))
    for name, entry in {
        "outside": (34675, 7, 500, 2**31),
        "endless": (34675, 7, 2**32 - 1, 8),
        "empty": (34675, 7, 0, 0),
    }.items():
        yield Specimen(f"tiff-icc-{name}", _with_entry(plain, entry), note="olor profile")
    yield Specimen("tiff-then-zeros", plain + bytes(999))
    yield Specimen("tiff-next-page-outside", _next_page(plain, 2**31))
    yield Specimen("tiff-next-page-itself", _next_page(plain, struct.unpack("<I", plain[4:8])[0]))


def _with_entry(tiff: bytes, entry: tuple[int, int, int, int]) -> bytes:
    """Returns the TIFF with a further entry, which tifffile would not write: tag, type, count, place."""
    at = struct.unpack("<I", tiff[4:8])[0]
    (count,) = struct.unpack("<H", tiff[at : at + 2])
    entries = [tiff[start : start + 12] for start in range(at + 2, at + 2 + 12 * count, 12)]
    entries = sorted([*entries, struct.pack("<HHII", *entry)], key=lambda one: struct.unpack("<H", one[:2]))
    tiff += b"\0" * (len(tiff) % 2)
    directory = struct.pack("<H", count + 1) + b"".join(entries) + bytes(4)
    return tiff[:4] + struct.pack("<I", len(tiff)) + tiff[8:] + directory


def _next_page(tiff: bytes, at: int) -> bytes:
    directory = struct.unpack("<I", tiff[4:8])[0]
    end = directory + 2 + 12 * struct.unpack("<H", tiff[directory : directory + 2])[0]
    return tiff[:end] + struct.pack("<I", at) + tiff[end + 4 :]
