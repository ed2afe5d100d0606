"""Makes PNGs with 16 bits per channel, interlacing and damaged chunks, which Pillow can't write."""

import struct
import zlib
from collections.abc import Iterator

import numpy as np
from PIL import Image

from tests.zoo import exif, icc
from tests.zoo.specimen import GRAY, HEIGHT, PICTURE, WIDTH, Specimen, encoded, pixels, transparent, turned

SIGNATURE = b"\x89PNG\r\n\x1a\n"
ADAM7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
COLOR_TYPES = {"gray": 0, "rgb": 2, "palette": 3, "gray-alpha": 4, "rgba": 6}


def chunk(name: bytes, body: bytes, *, crc: int | None = None) -> bytes:
    return (
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body) if crc is None else crc)
    )


def png(
    samples,
    bits: int,
    color_type: int,
    *,
    interlaced: bool = False,
    before: bytes = b"",
    after: bytes = b"",
    piece: int = 0,
) -> bytes:
    """Returns a PNG. samples: integers of `bits` bits, (H, W, channels).   before, after: chunks around the pixels."""
    height, width = samples.shape[:2]
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color_type, 0, 0, int(interlaced)))
    passes = ADAM7 if interlaced else ((0, 0, 1, 1),)
    raw = b"".join(_rows(samples[top::down, left::across], bits) for left, top, across, down in passes)
    packed = zlib.compress(raw)
    pieces = [packed[at : at + piece] for at in range(0, len(packed), piece)] if piece else [packed]
    data = b"".join(chunk(b"IDAT", part) for part in pieces)
    return SIGNATURE + head + before + data + after + chunk(b"IEND", b"")


def _rows(samples, bits: int) -> bytes:
    if samples.size == 0:
        return b""
    if bits == 16:
        rows = samples.astype(">u2").reshape(len(samples), -1).view(np.uint8)
    elif bits == 8:
        rows = samples.astype(np.uint8).reshape(len(samples), -1)
    else:
        flat = samples.reshape(len(samples), -1).astype(np.uint8)
        rows = np.packbits(((flat[..., None] >> np.arange(bits - 1, -1, -1)) & 1).reshape(len(flat), -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in rows)


def with_chunks(data: bytes, *chunks: bytes) -> bytes:
    """Inserts chunks right after the header."""
    return data[:33] + b"".join(chunks) + data[33:]


def before_end(data: bytes, *chunks: bytes) -> bytes:
    return data[:-12] + b"".join(chunks) + data[-12:]


def plain() -> bytes:
    return png(pixels(), 8, 2)


def specimens() -> Iterator[Specimen]:
    yield from _layouts()
    yield from _transparency()
    yield from _by_pillow()
    for name, block, value in [*exif.sound(), *exif.damaged()]:
        yield Specimen(f"png-exif-{name}", with_chunks(plain(), chunk(b"eXIf", block)), turned(value))
    turned_by = exif.block(exif.orientation(6))
    yield Specimen("png-exif-behind", before_end(plain(), chunk(b"eXIf", turned_by)), turned(6))
    yield Specimen("png-exif-like-jpeg", with_chunks(plain(), chunk(b"eXIf", b"Exif\0\0" + turned_by)), turned(6))
    yield Specimen("png-exif-empty", with_chunks(plain(), chunk(b"eXIf", b"")))
    yield from _profiles()
    yield from _chunks()
    yield from _animations()


def _layouts() -> Iterator[Specimen]:
    gray = np.asarray(GRAY)[..., None]
    for interlaced in (False, True):
        suffix = "-interlaced" if interlaced else ""
        for bits in (1, 2, 4):
            levels = gray >> (8 - bits)
            shown = Image.fromarray((levels[..., 0] * (255 // (2**bits - 1))).astype(np.uint8))
            yield Specimen(f"png-gray-{bits}{suffix}", png(levels, bits, 0, interlaced=interlaced), shown)
            table = b"".join(bytes([index * 255 // (2**bits - 1)] * 3) for index in range(2**bits))
            data = png(levels, bits, 3, interlaced=interlaced, before=chunk(b"PLTE", table))
            yield Specimen(f"png-palette-{bits}{suffix}", data, shown)
        wide = np.asarray(GRAY).astype(np.uint16)[..., None] * 257
        opaque8, opaque16 = np.full((HEIGHT, WIDTH, 1), 255), np.full((HEIGHT, WIDTH, 1), 65535)
        yield Specimen(f"png-gray-8{suffix}", png(gray, 8, 0, interlaced=interlaced), GRAY)
        yield Specimen(f"png-gray-16{suffix}", png(wide, 16, 0, interlaced=interlaced), GRAY)
        yield Specimen(f"png-rgb-8{suffix}", png(pixels(), 8, 2, interlaced=interlaced))
        yield Specimen(f"png-rgb-16{suffix}", png(pixels(np.uint16), 16, 2, interlaced=interlaced))
        palette = np.unique(pixels().reshape(-1, 3) // 32 * 32, axis=0)[:256]
        index = np.abs(pixels().astype(int)[:, :, None] - palette[None, None]).sum(axis=-1).argmin(axis=-1)[..., None]
        data = png(index, 8, 3, interlaced=interlaced, before=chunk(b"PLTE", palette.astype(np.uint8).tobytes()))
        yield Specimen(f"png-palette-8{suffix}", data, tolerance=30)
        for name, color_type, parts, bits in (
            ("gray-alpha", 4, (gray, opaque8), 8),
            ("gray-alpha", 4, (wide, opaque16), 16),
            ("rgba", 6, (pixels(), opaque8), 8),
            ("rgba", 6, (pixels(np.uint16), opaque16), 16),
        ):
            data = png(np.concatenate(parts, axis=-1), bits, color_type, interlaced=interlaced)
            yield Specimen(f"png-{name}-{bits}{suffix}", data, GRAY if color_type == 4 else PICTURE)


def _transparency() -> Iterator[Specimen]:
    yield Specimen("png-clear-8", png(transparent(), 8, 6), None)
    yield Specimen("png-clear-16", png(transparent(np.uint16), 16, 6), None)
    color8, color16 = struct.pack(">HHH", *pixels()[0, 0]), struct.pack(">HHH", *pixels(np.uint16)[0, 0])
    yield Specimen("png-key-8", png(pixels(), 8, 2, before=chunk(b"tRNS", color8)), None)
    yield Specimen("png-key-16", png(pixels(np.uint16), 16, 2, before=chunk(b"tRNS", color16)), None)
    gray = np.asarray(GRAY)[..., None]
    yield Specimen("png-key-gray", png(gray, 8, 0, before=chunk(b"tRNS", b"\0\x40")), None)
    yield Specimen(
        "png-key-gray-16", png(gray.astype(np.uint16) * 257, 16, 0, before=chunk(b"tRNS", b"\x40\x40")), None
    )
    yield Specimen("png-key-gray-1", png(gray >> 7, 1, 0, before=chunk(b"tRNS", b"\0\1")), None)
    table = chunk(b"PLTE", bytes(range(48)))
    for name, alpha in {"one": b"\0", "all": bytes(range(16)), "more": bytes(40), "none": b""}.items():
        data = png(gray >> 4, 4, 3, before=table + chunk(b"tRNS", alpha))
        yield Specimen(f"png-palette-clear-{name}", data, None)
    yield Specimen("png-key-short", png(pixels(), 8, 2, before=chunk(b"tRNS", b"\0")))
    yield Specimen("png-key-broken", png(pixels(), 8, 2, before=chunk(b"tRNS", color8, crc=1)), note="transparency")
    yield Specimen("png-key-on-alpha", png(transparent(), 8, 6, before=chunk(b"tRNS", color8)), None)


def _by_pillow() -> Iterator[Specimen]:
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"):
        picture = Image.fromarray(np.asarray(GRAY).astype(np.uint16) * 257) if mode == "I;16" else PICTURE.convert(mode)
        shown = {"L": GRAY, "LA": GRAY, "I;16": GRAY, "RGB": PICTURE, "RGBA": PICTURE}.get(mode)
        yield Specimen(f"png-pillow-{mode}", encoded(picture, "PNG"), shown)
    clear = PICTURE.quantize(16)
    yield Specimen("png-pillow-P-clear", encoded(clear, "PNG", transparency=3), None)
    yield Specimen("png-pillow-P-alphas", encoded(clear, "PNG", transparency=bytes(range(16))), None)
    yield Specimen("png-pillow-optimized", encoded(PICTURE, "PNG", optimize=True))


def _profiles() -> Iterator[Specimen]:
    def iccp(profile: bytes, *, packed: bytes | None = None, name: bytes = b"icc") -> bytes:
        return chunk(b"iCCP", name + b"\0\0" + (zlib.compress(profile) if packed is None else packed))

    for name, profile, ignored in icc.profiles():
        note = "olor profile" if ignored else ""
        shown = PICTURE if ignored or name.startswith("srgb") else None
        yield Specimen(f"png-icc-{name}", with_chunks(plain(), iccp(profile)), shown, note=note)
    large = icc.SRGB + np.random.default_rng(0).integers(0, 256, 1_500_000, np.uint8).tobytes()
    yield Specimen("png-icc-1.5-mb", with_chunks(plain(), iccp(large)))
    yield Specimen("png-icc-not-packed", with_chunks(plain(), iccp(b"", packed=icc.SRGB)), note="olor profile")
    yield Specimen(
        "png-icc-packed-cut", with_chunks(plain(), iccp(b"", packed=zlib.compress(icc.SRGB)[:200])), note="olor profile"
    )
    yield Specimen("png-icc-bomb", with_chunks(plain(), iccp(bytes(40 << 20))), note="olor profile")
    yield Specimen("png-icc-no-name", with_chunks(plain(), chunk(b"iCCP", b"x" * 100)))
    yield Specimen("png-icc-twice", with_chunks(plain(), iccp(icc.P3), iccp(icc.SRGB)), None)
    yield Specimen(
        "png-icc-wrong-crc", with_chunks(plain(), chunk(b"iCCP", b"icc\0\0" + zlib.compress(icc.SRGB), crc=7))
    )
    yield Specimen("png-cicp-p3", with_chunks(plain(), chunk(b"cICP", bytes([12, 13, 0, 1]))), None)
    yield Specimen("png-cicp-srgb", with_chunks(plain(), chunk(b"cICP", bytes([1, 13, 0, 1]))))
    yield Specimen("png-cicp-pq", with_chunks(plain(), chunk(b"cICP", bytes([9, 16, 0, 1]))), None, note="HDR")
    yield Specimen("png-cicp-short", with_chunks(plain(), chunk(b"cICP", b"\x0c")))


def _chunks() -> Iterator[Specimen]:
    bomb = zlib.compress(bytes(80 << 20))
    for name, parts in {
        "text": [chunk(b"tEXt", b"Comment\0" + b"t" * 2_000_000)],
        "text-bomb": [chunk(b"zTXt", b"Comment\0\0" + bomb)],
        "itext-bomb": [chunk(b"iTXt", b"Comment\0\1\0\0\0" + bomb)],
        "text-broken": [chunk(b"zTXt", b"Comment\0\0not packed"), chunk(b"iTXt", b"\xff\0"), chunk(b"tEXt", b"")],
        "xmp-broken": [chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0<x:xmpmeta <<")],
        "raw-exif": [chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 4\nzzzz\n"))],
        "short": [
            chunk(name, b"") for name in (b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"sBIT", b"bKGD", b"hIST")
        ],
        "long": [chunk(name, bytes(99)) for name in (b"gAMA", b"cHRM", b"sRGB", b"pHYs", b"tIME", b"sBIT", b"bKGD")],
        "unknown": [chunk(b"prVt", b"private" * 1000), chunk(b"vpAg", b"")],
        "wrong-crc": [
            chunk(b"tEXt", b"a\0b", crc=1),
            chunk(b"gAMA", b"\0\0\xb1\x8f", crc=2),
            chunk(b"pHYs", bytes(9), crc=3),
        ],
        "palette-on-rgb": [chunk(b"PLTE", bytes(range(30)))],
    }.items():
        yield Specimen(f"png-{name}", with_chunks(plain(), *parts))
    yield Specimen("png-many-pieces", png(pixels(), 8, 2, piece=1))
    yield Specimen("png-empty-pieces", with_chunks(plain(), *[chunk(b"IDAT", b"")] * 5))
    for name, tail in {"zeros": bytes(5000), "png": plain(), "text": b"tail" * 999}.items():
        yield Specimen(f"png-then-{name}", plain() + tail)


def _animations() -> Iterator[Specimen]:
    frames = [PICTURE, Image.new("RGB", PICTURE.size, "red")]
    moving = encoded(PICTURE, "PNG", save_all=True, append_images=frames[1:], duration=50)
    yield Specimen("png-animated", moving, note="animated")
    hidden = encoded(PICTURE, "PNG", save_all=True, append_images=frames[1:], default_image=True)
    yield Specimen("png-animated-default", hidden, note="animated")
    control = chunk(b"acTL", struct.pack(">II", 2**31 - 1, 0))
    yield Specimen("png-animated-in-name", with_chunks(plain(), control), note="animated")
