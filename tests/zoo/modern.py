"""Makes HEIC, AVIF and JPEG XL files."""

import io
from collections.abc import Iterator

import imagecodecs
import numpy as np
import pillow_heif
from PIL import Image

from shared.images.header import TURNS
from tests.zoo import depth, exif, icc, jpeg
from tests.zoo.specimen import GRAY, PICTURE, Specimen, encoded, pixels, transparent, turned

pillow_heif.register_heif_opener()

CLEAR = Image.fromarray(transparent())


def heic(picture: Image.Image = PICTURE, **options) -> bytes:
    file = io.BytesIO()
    pillow_heif.from_pillow(picture).save(file, **{"quality": 95, **options})
    return file.getvalue()


def deep_heic(samples) -> bytes:
    """Returns a 10-bit HEIC. samples: uint16 (H, W, 3) over the whole range."""
    height, width, _ = samples.shape
    file = io.BytesIO()
    found = pillow_heif.from_bytes("RGB;16", (width, height), np.ascontiguousarray(samples).tobytes())
    found.save(file, quality=95)
    return file.getvalue()


def with_properties(data: bytes, *properties: bytes) -> bytes:
    """Returns the HEIC with further properties of its first picture."""
    added = b"".join(properties)
    ipco, ipma, meta, iprp, iloc = (data.index(name) - 4 for name in (b"ipco", b"ipma", b"meta", b"iprp", b"iloc"))
    ipco_end = ipco + _u32(data, ipco)
    count = _count(data[ipco : ipco + _u32(data, ipco)])
    grown = len(added) + len(properties)
    for at, more in ((meta, grown), (iprp, grown), (ipco, len(added)), (ipma, len(properties))):
        data = _set_u32(data, at, _u32(data, at) + more)
    data = _set_u32(data, iloc + 20, _u32(data, iloc + 20) + grown)  # where the pixels lie
    owned = ipma + 18  # how many properties the first picture has
    end = owned + 1 + data[owned]
    data = data[:owned] + bytes([data[owned] + len(properties)]) + data[owned + 1 :]
    numbers = bytes(range(count + 1, count + 1 + len(properties)))
    data = data[:end] + numbers + data[end:]
    return data[:ipco_end] + added + data[ipco_end:]


def _count(ipco: bytes) -> int:
    at, count = 8, 0
    while at < len(ipco) and _u32(ipco, at):
        at, count = at + _u32(ipco, at), count + 1
    return count


def _u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _set_u32(data: bytes, at: int, value: int) -> bytes:
    return data[:at] + value.to_bytes(4, "big") + data[at + 4 :]


def linear(shown: Image.Image) -> Image.Image:
    """Returns the picture with samples read as linear light."""
    light = np.asarray(shown) / 255
    curve = np.where(light <= 0.0031308, light * 12.92, 1.055 * light ** (1 / 2.4) - 0.055)
    return Image.fromarray(np.rint(curve * 255).astype(np.uint8))


def specimens() -> Iterator[Specimen]:
    yield from _heics()
    yield from _avifs()
    yield from _jxls()


def _heics() -> Iterator[Specimen]:
    yield Specimen("heic-plain", heic())
    yield Specimen("heic-lossless", heic(quality=-1))
    yield Specimen("heic-gray", heic(GRAY), GRAY)
    yield Specimen("heic-clear", heic(CLEAR), None)
    yield Specimen("heic-then-zeros", heic() + bytes(8))
    yield Specimen("heic-then-box", heic() + b"\0\0\0\x10sefdabcdefgh")
    yield Specimen("heic-10-bits", deep_heic(pixels(np.uint16)))
    for name, block, value in exif.sound():  # which pillow-heif turns into properties of the picture
        yield Specimen(f"heic-exif-{name}", heic(exif=b"Exif\0\0" + block), turned(value))
    for name, block, value in exif.damaged():
        yield Specimen(f"heic-exif-{name}", heic(exif=b"Exif\0\0" + block), None if value != 1 else PICTURE)
    for orientation, (steps, mirrored) in TURNS.items():
        transforms = ([b"\0\0\0\x09imir\x01"] if mirrored else []) + [b"\0\0\0\x09irot" + bytes([steps])]
        yield Specimen(f"heic-turned-{orientation}", with_properties(heic(), *transforms), turned(orientation))
    for name, profile, ignored in icc.profiles():
        shown = PICTURE if ignored or name.startswith("srgb") else None
        picture = PICTURE.copy()
        picture.info["icc_profile"] = profile
        yield Specimen(f"heic-icc-{name}", heic(picture), shown, note="olor profile" if ignored else "")
    several = pillow_heif.from_pillow(PICTURE)
    several.add_from_pillow(Image.new("RGB", (90, 70), "red"))
    file = io.BytesIO()
    several.save(file, quality=95)
    yield Specimen("heic-several", file.getvalue())
    yield Specimen(
        "heic-inside-meta", depth.inside_meta(heic(exif=b"Exif\0\0" + exif.block(exif.orientation(6)))), turned(6)
    )
    yield Specimen("heic-depth-map", depth.with_depth(PICTURE))
    portrait = {"exif": b"Exif\0\0" + exif.block(exif.orientation(6)), "icc_profile": icc.P3}
    yield Specimen("heic-portrait", depth.with_depth(PICTURE, **portrait), None)
    large = PICTURE.resize((1100, 700), Image.Resampling.BICUBIC)
    yield Specimen("heic-large", heic(large), large)
    pillow_heif.options.GRID_TILE_SIZE, before = 512, pillow_heif.options.GRID_TILE_SIZE
    try:
        yield Specimen("heic-grid", heic(large), large)
    finally:
        pillow_heif.options.GRID_TILE_SIZE = before


def _avifs() -> Iterator[Specimen]:
    def avif(picture: Image.Image = PICTURE, **options) -> bytes:
        return encoded(picture, "AVIF", **{"quality": 95, "speed": 10, **options})

    yield Specimen("avif-plain", avif())
    yield Specimen("avif-poor", avif(quality=40), tolerance=12)
    yield Specimen("avif-full-color", avif(subsampling="4:4:4"))
    yield Specimen("avif-limited", avif(range="limited"))
    yield Specimen("avif-gray", avif(GRAY), GRAY)
    yield Specimen("avif-clear", avif(CLEAR), None)
    yield Specimen("avif-gray-clear", avif(CLEAR.convert("LA")), None)
    yield Specimen("avif-premultiplied", avif(CLEAR, alpha_premultiplied=True), None)
    moving = avif(save_all=True, append_images=[Image.new("RGB", PICTURE.size, "red")])
    yield Specimen("avif-animated", moving, note="animated")
    yield Specimen("avif-then-zeros", avif() + bytes(9))
    for bits in (10, 12):
        wide = pixels(np.uint16) >> (16 - bits)
        yield Specimen(f"avif-{bits}-bits", imagecodecs.avif_encode(wide, level=95, bitspersample=bits, speed=10))
        both = transparent(np.uint16) >> (16 - bits)
        data = imagecodecs.avif_encode(both, level=95, bitspersample=bits, speed=10)
        yield Specimen(f"avif-{bits}-bits-clear", data, None)
        gray = np.asarray(GRAY).astype(np.uint16) << (bits - 8)
        yield Specimen(f"avif-{bits}-bits-gray", imagecodecs.avif_encode(gray, bitspersample=bits, speed=10), GRAY)
    for orientation in range(1, 9):
        data = avif(exif=exif.block(exif.orientation(orientation)))
        yield Specimen(f"avif-turned-{orientation}", data, turned(orientation))
    for name, profile, ignored in icc.profiles():
        shown = PICTURE if ignored or name.startswith("srgb") else None
        data = avif(icc_profile=profile)
        yield Specimen(f"avif-icc-{name}", data, shown, note="olor profile" if ignored else "")
    yield Specimen("avif-broken-xmp", avif(xmp=b"<x:xmpmeta <<"))
    mark = exif.block((0x0131, 2, 4, b"abc\0"))
    sound = avif(exif=mark)
    for name, block, _ in [*exif.sound(), *exif.damaged()]:  # which count for nothing: properties turn the picture
        yield Specimen(f"avif-exif-{name}", sound.replace(mark, block[: len(mark)].ljust(len(mark), b"\0")))


def _jxls() -> Iterator[Specimen]:
    for dtype in (np.uint8, np.uint16, np.float32):
        name = np.dtype(dtype)
        for lossless in (True, False):
            options = {"lossless": lossless} if lossless else {"distance": 0.5}
            kind = "lossless" if lossless else "lossy"
            gray = np.asarray(GRAY).astype(dtype) * {"u1": 1, "u2": 257}.get(name.str[1:], 1 / 255)
            both = np.ascontiguousarray(transparent(dtype))
            look = (lambda shown: shown) if dtype == np.uint8 else linear  # as the encoder marks it
            yield Specimen(f"jxl-{name}-{kind}", imagecodecs.jpegxl_encode(pixels(dtype), **options), look(PICTURE))
            data = imagecodecs.jpegxl_encode(gray.astype(dtype), **options)
            yield Specimen(f"jxl-{name}-{kind}-gray", data, look(GRAY))
            yield Specimen(f"jxl-{name}-{kind}-clear", imagecodecs.jpegxl_encode(both, **options), None)
    for container in (True, False):
        data = imagecodecs.jpegxl_encode(pixels(), usecontainer=container)
        yield Specimen(f"jxl-container-{container}", data)
    for bits in (10, 12, 14):
        data = imagecodecs.jpegxl_encode(pixels(np.uint16) >> (16 - bits), bitspersample=bits)
        yield Specimen(f"jxl-{bits}-bits", data, linear(PICTURE))
    yield from _jxl_boxes()
    moving = np.stack([pixels(), pixels()[::-1]])
    yield Specimen("jxl-animated", imagecodecs.jpegxl_encode(moving), note="animated")
    photograph = encoded(PICTURE, "JPEG", quality=95)
    for name, block, value in exif.sound():
        data = imagecodecs.jpegxl_encode_jpeg(jpeg.with_exif(photograph, block))
        yield Specimen(f"jxl-of-jpeg-{name}", data, turned(value))
    for name, profile, ignored in icc.profiles():
        if not ignored:  # the encoder refuses those
            data = imagecodecs.jpegxl_encode_jpeg(jpeg.with_segments(photograph, *jpeg.profile_segments(profile)))
            shown = PICTURE if name.startswith("srgb") else None
            yield Specimen(f"jxl-of-jpeg-icc-{name}", data, shown, note="profile")
    large = np.asarray(PICTURE.resize((700, 300), Image.Resampling.BICUBIC))
    yield Specimen("jxl-large", imagecodecs.jpegxl_encode(large), Image.fromarray(large))
    square = np.asarray(PICTURE.resize((64, 64), Image.Resampling.BICUBIC))
    yield Specimen("jxl-square", imagecodecs.jpegxl_encode(square), Image.fromarray(square))


def _jxl_boxes() -> Iterator[Specimen]:
    bare = imagecodecs.jpegxl_encode(pixels(), usecontainer=False)
    picture, six = depth.box(b"jxlc", bare), exif.block(exif.orientation(6))
    start = depth.box(b"JXL ", b"\r\n\x87\n") + depth.box(b"ftyp", b"jxl \0\0\0\0jxl ")
    first, last = bytes(4), b"\x80\0\0\1"  # numbers of parts
    for name, parts in {
        "exif": (depth.box(b"Exif", bytes(4) + six), picture),  # the codestream's own orientation counts
        "exif-behind": (picture, depth.box(b"Exif", b"damaged")),
        "broken-xmp": (depth.box(b"xml ", b"<x:xmpmeta <<"), picture),
        "packed-metadata": (depth.box(b"brob", b"Exif" + bytes(20)), picture),
        "level": (depth.box(b"jxll", b"\5"), picture),
        "parts": (depth.box(b"jxlp", first + bare[:3]), depth.box(b"Exif", six), depth.box(b"jxlp", last + bare[3:])),
        "open-end": (bytes(4) + b"jxlc" + bare,),
        "then-zeros": (picture, bytes(9)),
    }.items():
        yield Specimen(f"jxl-{name}", start + b"".join(parts))
    yield Specimen("jxl-bare-then-zeros", bare + bytes(9))
