"""Makes small images for tests, and damages them."""

import io

from PIL import Image


def encode(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def a_picture(kind: str = "JPEG", *, width: int = 96, height: int = 80, mode: str = "RGB", **options) -> bytes:
    return encode(Image.radial_gradient("L").resize((width, height)).convert(mode), kind, **options)


def a_turned_picture(kind: str, *, orientation: int = 6) -> bytes:
    """Makes an image stored 96 px wide and 80 px high, with an EXIF orientation that rotates it."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    return a_picture(kind, exif=exif.tobytes())


def an_animation(kind: str) -> bytes:
    frames = [Image.new("RGB", (96, 80), shade) for shade in ("black", "white", "red")]
    return encode(frames[0], kind, save_all=True, append_images=frames[1:], duration=100)


def without_chunk_order(png: bytes, name: bytes) -> bytes:
    """Moves one chunk of a PNG right before its end, where ImageMagick places EXIF data."""
    at = png.index(name) - 4
    length = 12 + int.from_bytes(png[at : at + 4], "big")
    moved = png[at : at + length]
    rest = png[:at] + png[at + length :]
    return rest[:-12] + moved + rest[-12:]
