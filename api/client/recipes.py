"""Reads the recipe that a result carries, and checks whether this server would make the same dream from it."""

import contextlib
import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from xml.sax.saxutils import unescape  # it reads no XML

from shared.errors import DreamError
from shared.images.formats.plain import without_metadata
from shared.images.read import read_header

RECIPE = "dreamqueue"  # the PNG text chunk that holds it, as worker.images writes it
IMAGE_DESCRIPTION = 0x010E  # the EXIF tag that does in the other formats
XMP_EXTENSION = b"http://ns.adobe.com/xmp/extension/\0"  # where a JPEG's EXIF has no room for it

Recipe = dict[str, Any]


class NoRecipe(DreamError):
    """The picture carries no recipe: it was not dreamed here, or its metadata was removed on the way."""

    code = "no_recipe"


def read_recipe(result: Path) -> Recipe:
    """Returns the recipe in a PNG, JPEG or WebP that was dreamed here. Raises NoRecipe."""
    from PIL import Image  # noqa: PLC0415 - the other commands start without it

    try:
        with Image.open(result, formats=("PNG", "JPEG", "WEBP")) as picture:
            text = picture.info.get(RECIPE) or picture.getexif().get(IMAGE_DESCRIPTION)
            text = text or _from_xmp(getattr(picture, "applist", ()))
        recipe = json.loads(text or "null")
    except (OSError, ValueError) as exc:  # Pillow's UnidentifiedImageError is an OSError
        raise NoRecipe from exc
    if not (isinstance(recipe, dict) and {"params", "weights_sha256", "versions"} <= recipe.keys()):
        raise NoRecipe
    return recipe


def _from_xmp(segments: Sequence[tuple[str, bytes]]) -> str | None:
    """Returns the recipe that a JPEG's extended XMP holds, as worker.images.xmp writes it where EXIF has no room.

    segments: the JPEG's application segments, in order.
    """
    parts = [body for name, body in segments if name == "APP1" and body.startswith(XMP_EXTENSION)]
    head = len(XMP_EXTENSION) + 32 + 8  # behind it the packet's name, its length, and where the part belongs
    packet = b"".join(part[head:] for part in sorted(parts, key=lambda part: part[head - 4 : head]))
    found = re.search(rb"<dream:recipe>(.*)</dream:recipe>", packet, re.DOTALL)
    return unescape(found[1].decode()) if found else None


def other_pictures(recipe: Recipe, pictures: Mapping[str, Path | None]) -> Iterator[str]:
    """Returns a sentence for each picture that is not the one that the recipe was cooked with."""
    for name, sha256 in recipe.get("inputs", {}).items():
        given = pictures.get(name)
        if given is None:
            yield f"the dream had a {name}, which you did not give"
        elif sha256 not in _sha256s(given):
            yield f"{given} is not the {name} of that dream"
    for name, given in pictures.items():
        if given is not None and name not in recipe.get("inputs", {name: ""}):
            yield f"the dream had no {name}"


def differences(recipe: Recipe, report: Mapping[str, Any]) -> Iterator[str]:
    """Returns a sentence for each thing that has changed between the recipe and the new dream's report."""
    if report["weights_sha256"] != recipe["weights_sha256"]:
        yield f"the weights of {recipe['model']} are others than then"
    for name in sorted(recipe["versions"].keys() | report["versions"].keys()):
        then, now = (versions.get(name, "none") for versions in (recipe["versions"], report["versions"]))
        if then != now:
            yield f"{name} was {then} then and is {now} now"
    if report.get("tile_size") != recipe.get("tile_size"):
        yield f"tiles were {recipe.get('tile_size')} pixels wide then and are {report.get('tile_size')} now"


def _sha256s(path: Path) -> Iterator[str]:
    """Returns the digests of the file and of the file as a server that strips metadata stores it."""
    with path.open("rb") as file:
        yield hashlib.file_digest(file, "sha256").hexdigest()
        with contextlib.suppress(DreamError), tempfile.TemporaryFile() as stripped:
            without_metadata(file, read_header(file), stripped)
            stripped.seek(0)
            yield hashlib.file_digest(stripped, "sha256").hexdigest()
