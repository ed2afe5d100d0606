"""Makes the presets' thumbnails and the contact sheets: `python -m tools.thumbnails api/web/looks`.

Uses photographs from scikit-image and the current presets. Run it again when a preset changes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import skimage.data
import typer
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from shared.networks import catalog
from shared.networks.presets import LOOKS
from shared.params import DreamParams
from worker import images
from worker.dream.ascent import device
from worker.dream.engine import dream
from worker.dream.inputs import Inputs
from worker.dream.network import Network
from worker.dream.types import Image
from worker.networks import registry

SIZE_PX = (480, 360)  # (width, height); small, so that the features are large in the picture
TUNNEL = ("Folds", "Engraving", "Eyes", "Animals")  # from the outer frame to the inner one
SHEET_CELL_PX, COLUMNS, LABEL_PX = (320, 240), 5, 26
FACE = (60, 0, 451, 293)  # of scikit-image's cat: bright, and recognizable at the size of a tile
EYES = {"layers": [{"layer": "block9"}], "iterations": 14, "step_size": 2.2}
LONG = {"layers": [{"layer": "block11_expand"}], "iterations": 30}


def main(folder: Annotated[Path, typer.Argument(help="Output folder.")]) -> None:
    """Makes every thumbnail, the start page's pictures and both sheets."""
    device.prepare()
    folder.mkdir(parents=True, exist_ok=True)
    cat, cells = photograph("chelsea", FACE), []
    for preset in LOOKS:
        if preset.verified:
            picture = dreamed(preset.params, cat)
            picture.save(folder / f"{preset.name}.webp", quality=76, method=6)
            cells.append((preset.title, picture))
    frames = [Pillow.fromarray(images.to_pixels(cat)), *(dict(cells)[title] for title in TUNNEL)]
    tunnel(frames, folder.parent / "samples")
    sheet(cells).save(folder / "sheet.webp", quality=76, method=6)
    sheet(controls()).save(folder / "controls.webp", quality=76, method=6)


def tunnel(pictures: list[Pillow.Image], folder: Path) -> None:
    """Saves the start page's frames within frames, the outermost first."""
    for index, picture in enumerate(pictures):
        picture.save(folder / f"tunnel-{index}.webp", quality=80, method=6)


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


def photograph(name: str, box: tuple[int, int, int, int] | None = None) -> Image:
    """Returns the box, or else the central 4:3 part, of one of scikit-image's photographs."""
    whole = Pillow.fromarray(getattr(skimage.data, name)()).convert("RGB")
    if box:
        return np.asarray(whole.crop(box).resize(SIZE_PX, Pillow.Resampling.LANCZOS), np.float32)
    ratio = SIZE_PX[0] / SIZE_PX[1]
    width, height = min(whole.width, int(whole.height * ratio)), min(whole.height, int(whole.width / ratio))
    left, top = (whole.width - width) // 2, 0 if whole.width <= whole.height else (whole.height - height) // 2
    frame = whole.crop((left, top, left + width, top + height))
    return np.asarray(frame.resize(SIZE_PX, Pillow.Resampling.LANCZOS), np.float32)


def dreamed(params: Mapping[str, Any], image: Image, inputs: Inputs | None = None) -> Pillow.Image:
    """Returns the photograph, dreamed with those parameters."""
    resolved = catalog.resolve(DreamParams.model_validate(params))
    result, _ = dream(_network(resolved.model), image.copy(), resolved, inputs=inputs or Inputs())
    return Pillow.fromarray(images.to_pixels(result))


def sheet(cells: list[tuple[str, Pillow.Image]]) -> Pillow.Image:
    """Returns one picture with all cells in a grid, each with its title."""
    width, height = SHEET_CELL_PX
    rows = -(-len(cells) // COLUMNS)
    paper = Pillow.new("RGB", (COLUMNS * width, rows * (height + LABEL_PX)), (16, 18, 24))
    pen, font = ImageDraw.Draw(paper), ImageFont.load_default(14)
    for index, (title, picture) in enumerate(cells):
        x, y = index % COLUMNS * width, index // COLUMNS * (height + LABEL_PX)
        paper.paste(picture.resize(SHEET_CELL_PX, Pillow.Resampling.LANCZOS), (x, y))
        pen.text((x + 8, y + height + LABEL_PX // 2), title, (230, 232, 238), font, anchor="lm")
    return paper


_networks: dict[str, Network] = {}


def _network(name: str) -> Network:
    if name not in _networks:
        _networks[name] = registry.load(name, Path("models"))
    return _networks[name]


if __name__ == "__main__":
    typer.run(main)
