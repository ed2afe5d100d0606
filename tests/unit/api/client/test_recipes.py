import hashlib
import io
import json

import numpy as np
import pytest
from PIL import Image as Pillow

from api.client.recipes import NoRecipe, differences, other_pictures, read_recipe
from shared.images.formats.plain import without_metadata
from shared.images.read import read_header
from tests.zoo.exif import block, orientation
from tests.zoo.jpeg import with_exif
from tests.zoo.specimen import PICTURE, encoded
from worker import images

RECIPE = {
    "params": {"model": "efficientnet-lite0", "seed": 7},
    "model": "efficientnet-lite0",
    "weights_sha256": "ab" * 32,
    "tile_size": 384,
    "versions": {"tensorflow": "2.21.0", "numpy": "2.3.1"},
    "kind": "dream",
    "inputs": {"image": hashlib.sha256(b"the photograph").hexdigest()},
}
REPORT = {name: RECIPE[name] for name in ("weights_sha256", "tile_size", "versions")}


@pytest.mark.parametrize("form", ["png", "png16", "jpeg", "webp"])
def test_the_recipe_is_readable_from_every_result_format(form, tmp_path):
    picture = np.zeros((8, 9, 3), np.float32)
    with (tmp_path / "result").open("wb") as file:
        images.encode(picture, file, format=form, recipe=RECIPE)
    assert read_recipe(tmp_path / "result") == RECIPE


@pytest.mark.parametrize("form", ["png", "png16", "jpeg", "webp"])
def test_a_recipe_of_any_length_fits_into_every_format(form, tmp_path):
    targets = [{"layer": "head", "channels": list(range(4096)), "weight": 1.0}] * 16
    long = RECIPE | {"params": {"layers": targets, "note": 'é < & > "'}}
    assert len(json.dumps(long)) > 300_000
    with (tmp_path / "result").open("wb") as file:
        made = images.encode(np.zeros((8, 9, 3), np.float32), file, format=form, recipe=long)
    assert (made.format, made.warnings) == (form, ())
    assert read_recipe(tmp_path / "result") == long


@pytest.mark.parametrize("content", [b"", b"no picture", None])
def test_an_image_without_a_recipe_raises_no_recipe(content, tmp_path):
    if content is None:
        file = io.BytesIO()
        Pillow.new("RGB", (3, 3)).save(file, "PNG")
        content = file.getvalue()
    (tmp_path / "x.png").write_bytes(content)
    with pytest.raises(NoRecipe):
        read_recipe(tmp_path / "x.png")


def test_inputs_that_differ_from_the_recipes_are_reported(tmp_path):
    same, other = tmp_path / "same.jpg", tmp_path / "other.jpg"
    same.write_bytes(b"the photograph")
    other.write_bytes(b"another one")
    assert list(other_pictures(RECIPE, {"image": same, "guide": None})) == []
    assert list(other_pictures(RECIPE, {"image": other})) == [f"{other} is not the image of that dream"]
    assert list(other_pictures(RECIPE, {"image": same, "mask": other})) == ["the dream had no mask"]
    guided = RECIPE | {"inputs": RECIPE["inputs"] | {"guide": "0" * 64}}
    assert list(other_pictures(guided, {"image": same})) == ["the dream had a guide, which you did not give"]


def test_a_photograph_that_a_server_stored_without_its_metadata_is_recognized(tmp_path):
    photograph = tmp_path / "photo.jpg"
    photograph.write_bytes(with_exif(encoded(PICTURE, "JPEG"), block(orientation(6))))
    stored = io.BytesIO()
    with photograph.open("rb") as file:
        without_metadata(file, read_header(file), stored)
    recipe = RECIPE | {"inputs": {"image": hashlib.sha256(stored.getvalue()).hexdigest()}}

    assert list(other_pictures(recipe, {"image": photograph})) == []


def test_differing_weights_versions_and_tile_sizes_are_reported():
    assert list(differences(RECIPE, REPORT)) == []
    report = {"weights_sha256": "cd" * 32, "tile_size": 512, "versions": {"tensorflow": "2.22.0", "numpy": "2.3.1"}}
    assert list(differences(RECIPE, report)) == [
        "the weights of efficientnet-lite0 are others than then",
        "tensorflow was 2.21.0 then and is 2.22.0 now",
        "tiles were 384 pixels wide then and are 512 now",
    ]
