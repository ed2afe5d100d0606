"""The same dream again: the recipe that a result carries, and what would keep it from being the same."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.errors import DreamError

RECIPE = "dreamqueue"  # the PNG text chunk that holds it, as worker.images writes it
IMAGE_DESCRIPTION = 0x010E  # the EXIF tag that does in the other formats

Recipe = dict[str, Any]


class NoRecipe(DreamError):
    """The picture carries no recipe: it was not dreamed here, or its metadata was removed on the way."""

    code = "no_recipe"


def read_recipe(result: Path) -> Recipe:
    """What a PNG, JPEG or WebP of ours says about how it was made. Raises NoRecipe."""
    from PIL import Image  # noqa: PLC0415 - the other commands start without it

    try:
        with Image.open(result, formats=("PNG", "JPEG", "WEBP")) as picture:
            text = picture.info.get(RECIPE) or picture.getexif().get(IMAGE_DESCRIPTION)
        recipe = json.loads(text or "null")
    except (OSError, ValueError) as exc:  # Pillow's UnidentifiedImageError is an OSError
        raise NoRecipe from exc
    if not (isinstance(recipe, dict) and {"params", "weights_sha256", "versions"} <= recipe.keys()):
        raise NoRecipe
    return recipe


def other_pictures(recipe: Recipe, pictures: Mapping[str, Path | None]) -> Iterator[str]:
    """A sentence for each picture that is not the one that the recipe was cooked with."""
    for name, sha256 in recipe.get("inputs", {}).items():
        given = pictures.get(name)
        if given is None:
            yield f"the dream had a {name}, which you did not give"
        elif _sha256(given) != sha256:
            yield f"{given} is not the {name} of that dream"
    for name, given in pictures.items():
        if given is not None and name not in recipe.get("inputs", {name: ""}):
            yield f"the dream had no {name}"


def differences(recipe: Recipe, report: Mapping[str, Any]) -> Iterator[str]:
    """A sentence for each thing that has changed between the recipe and the new dream's report."""
    if report["weights_sha256"] != recipe["weights_sha256"]:
        yield f"the weights of {recipe['model']} are others than then"
    for name in sorted(recipe["versions"].keys() | report["versions"].keys()):
        then, now = (versions.get(name, "none") for versions in (recipe["versions"], report["versions"]))
        if then != now:
            yield f"{name} was {then} then and is {now} now"
    if report.get("tile_size") != recipe.get("tile_size"):
        yield f"tiles were {recipe.get('tile_size')} pixels wide then and are {report.get('tile_size')} now"


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
