"""Makes the pictures of the looks: `python -m tools.thumbnails thumbnails`, `sheets`, `tunnel` or `controls`.

Uses four photographs, three of them from scikit-image, and the current presets of the networks whose weights are in
DREAM_MODEL_DIR. Run it again when a preset changes: `--only NAME` for some.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import skimage.data
import typer
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from shared.networks import catalog
from shared.networks.looks.preset import Preset
from shared.networks.presets import PRESETS
from shared.params import DreamParams
from worker import images
from worker.dream.ascent import device
from worker.dream.engine import dream
from worker.dream.inputs import Inputs
from worker.dream.network import Network
from worker.dream.types import Image
from worker.networks import registry

SIZE_PX = (480, 360)  # (width, height); small, so that the features are large in the picture
TUNNEL = ("folds", "engraving", "eyes", "animals")  # of the start page, from the outer frame to the inner one
FACE = (60, 0, 451, 293)  # of scikit-image's cat
SHEET_CELL_PX, COLUMNS, LABEL_PX = (320, 240), 5, 26
DREAMED_PX, CONTACT_PX = (256, 192), (200, 150)  # on the contact sheets, which show all looks on all photographs
PHOTOGRAPHS = ("astronaut", "temple", "coffee", "chelsea")  # a face, a building in a landscape, a thing, an animal
SUBJECT = "temple"  # bright, and recognizable at any size
OWN = Path(__file__).with_name("photographs")
MODEL_DIR = Path(os.environ.get("DREAM_MODEL_DIR", "models"))
WEB, DOCS = Path("api/web/looks"), Path("docs/looks")
EYES = {"layers": [{"layer": "block9"}], "iterations": 14, "step_size": 2.2}
LONG = {"layers": [{"layer": "block11_expand"}], "iterations": 30}


app = typer.Typer(add_completion=False, help=__doc__)
Only = Annotated[list[str] | None, typer.Option(help="Presets; by default all whose network is here.")]


@app.command()
def thumbnails(only: Only = None) -> None:
    """Makes the thumbnail of each preset, for the page."""
    device.prepare()
    image = photograph(SUBJECT, SIZE_PX)
    for preset in _presets(only):
        path = WEB / f"{preset.name}.webp"
        dreamed(preset.params, image).save(path, quality=70, method=6)
        typer.echo(path)


@app.command()
def sheets(only: Only = None) -> None:
    """Makes a contact sheet per network: its looks, one a row, on the four photographs."""
    device.prepare()
    DOCS.mkdir(exist_ok=True)
    rows: dict[str, list[tuple[str, Pillow.Image]]] = {}
    for preset in _presets(only):
        network = preset.params["model"]
        for name in PHOTOGRAPHS:
            picture = dreamed(preset.params, photograph(name, DREAMED_PX))
            rows.setdefault(network, []).append((preset.name, picture))
        paper = sheet(rows[network], cell=CONTACT_PX, columns=len(PHOTOGRAPHS))
        paper.save(DOCS / f"{network}.webp", quality=55, method=6)
        typer.echo(preset.name)


@app.command()
def tunnel() -> None:
    """Makes the start page's frames within frames: a cat, and what looks of Lite0 make of it."""
    device.prepare()
    photo = skimage.data.chelsea()  # type: ignore[no-untyped-call]
    whole = Pillow.fromarray(photo).crop(FACE).resize(SIZE_PX, Pillow.Resampling.LANCZOS)
    cat = np.asarray(whole, np.float32)
    looks = {preset.name: preset for preset in PRESETS}
    pictures = [whole, *(dreamed(looks[name].params, cat) for name in TUNNEL)]
    for index, picture in enumerate(pictures):
        picture.save(WEB.parent / "samples" / f"tunnel-{index}.webp", quality=80, method=6)


@app.command("controls")
def controls_sheet() -> None:
    """Makes the pictures of the controls other than the preset."""
    device.prepare()
    sheet(controls()).save(WEB / "controls.webp", quality=76, method=6)


def _presets(only: list[str] | None) -> list[Preset]:
    tried = [preset for preset in PRESETS if preset.verified and registry.is_ready(preset.params["model"], MODEL_DIR)]
    return [preset for preset in tried if only is None or preset.name in only]


def controls() -> list[tuple[str, Pillow.Image]]:
    """Returns one picture for each control other than the preset."""
    rocket, astronaut, coffee = (photograph(name) for name in ("rocket", "astronaut", "coffee"))
    y, x = np.mgrid[0 : SIZE_PX[1], 0 : SIZE_PX[0]].astype(np.float32)
    face = np.clip(1.7 - np.hypot((x - 212) / 100, (y - 87) / 100), 0, 1)  # soft-edged, around the astronaut's face
    negative = [{"layer": "block4_expand"}, {"layer": "block11_expand", "weight": -0.6}]
    plain = {"layers": [{"layer": "block11_expand"}], "iterations": 14}
    return [
        ("guided by the cat", dreamed(EYES, rocket, Inputs(guide=photograph("chelsea")))),
        ("mask: all but the face", dreamed(EYES, astronaut, Inputs(mask=1 - face))),
        ("woven, less block11 (-0.6)", dreamed({"layers": negative, "iterations": 12}, coffee)),
        ("color: keep", dreamed(plain, coffee)),
        ("color: original", dreamed({**plain, "color": "original"}, coffee)),
        ("color: free", dreamed({**plain, "color": "free"}, coffee)),
        ("strength 0.5", dreamed({**plain, "strength": 0.5}, coffee)),
        ("30 steps, no lock", dreamed(LONG, coffee)),
        ("30 steps, brightness lock", dreamed({**LONG, "brightness_lock": True}, coffee)),
    ]


def photograph(name: str, size: tuple[int, int] = SIZE_PX) -> Image:
    """Returns one of the photographs, cropped to its central 4:3 part, at that (width, height)."""
    whole = Pillow.open(OWN / f"{name}.jpg") if name == SUBJECT else Pillow.fromarray(getattr(skimage.data, name)())
    whole = whole.convert("RGB")
    ratio = size[0] / size[1]
    width, height = min(whole.width, int(whole.height * ratio)), min(whole.height, int(whole.width / ratio))
    left, top = (whole.width - width) // 2, 0 if whole.width <= whole.height else (whole.height - height) // 2
    frame = whole.crop((left, top, left + width, top + height))
    return np.asarray(frame.resize(size, Pillow.Resampling.LANCZOS), np.float32)


def dreamed(params: Mapping[str, Any], image: Image, inputs: Inputs | None = None) -> Pillow.Image:
    """Returns the photograph, dreamed with those parameters."""
    resolved = catalog.resolve(DreamParams.model_validate(params))
    result, _ = dream(_network(resolved.model), image.copy(), resolved, inputs=inputs or Inputs())
    return Pillow.fromarray(images.to_pixels(result))


def sheet(
    cells: list[tuple[str, Pillow.Image]], *, cell: tuple[int, int] = SHEET_CELL_PX, columns: int = COLUMNS
) -> Pillow.Image:
    """Returns one picture with all cells in a grid, each with its title."""
    width, height = cell
    rows = -(-len(cells) // columns)
    paper = Pillow.new("RGB", (columns * width, rows * (height + LABEL_PX)), (16, 18, 24))
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(14)
    for index, (title, picture) in enumerate(cells):
        x, y = index % columns * width, index // columns * (height + LABEL_PX)
        paper.paste(picture.resize(cell, Pillow.Resampling.LANCZOS), (x, y))
        pen.text((x + 8, y + height + LABEL_PX // 2), title, (230, 232, 238), font, anchor="lm")
    return paper


_networks: dict[str, Network] = {}


def _network(name: str) -> Network:
    if name not in _networks:
        _networks[name] = registry.load(name, MODEL_DIR)
    return _networks[name]


if __name__ == "__main__":
    app()
