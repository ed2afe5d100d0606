"""Defines a specimen: one small picture in a file of one kind."""

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, ImageOps

WIDTH, HEIGHT = 48, 32


def pixels(dtype=np.uint8):
    """Returns (H, W, 3), smooth so that lossy coding keeps it, and different in each corner so that rotations show."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float64)
    x, y = x / (WIDTH - 1), y / (HEIGHT - 1)
    picture = np.stack([0.1 + 0.8 * x, 0.9 - 0.7 * y, 0.2 + 0.6 * x * y], axis=-1)
    return (
        picture.astype(dtype) if np.dtype(dtype).kind == "f" else np.rint(picture * np.iinfo(dtype).max).astype(dtype)
    )


PICTURE = Image.fromarray(pixels())
GRAY = PICTURE.convert("L")


def transparent(dtype=np.uint8):
    """Returns (H, W, 4), transparent on the left, opaque on the right."""
    full = 1 if np.dtype(dtype).kind == "f" else np.iinfo(dtype).max
    alpha = np.broadcast_to(np.clip(np.linspace(-0.5, 1.5, WIDTH), 0, 1) * full, (HEIGHT, WIDTH))
    return np.concatenate([pixels(dtype), np.rint(alpha)[..., None].astype(dtype)], axis=-1)


def encoded(picture: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    picture.save(file, kind, **options)
    return file.getvalue()


def turned(orientation: int, picture: Image.Image = PICTURE) -> Image.Image:
    """Returns the picture as a viewer shows it with that EXIF orientation."""
    marked = picture.copy()
    marked.getexif()[0x0112] = orientation
    return ImageOps.exif_transpose(marked)


@dataclass(frozen=True)
class Specimen:
    name: str
    data: bytes
    shown: Image.Image | None = field(
        default_factory=lambda: PICTURE
    )  # as a viewer shows it; None: whatever both sides agree on
    tolerance: float = 6.0  # mean difference per channel, of 255
    note: str = ""  # that the report must hold

    def __str__(self) -> str:
        return self.name


Make = Callable[[], Iterator[Specimen]]
