"""Measures the context that each layer needs: `python -m tools.halos googlenet >> shared/networks/halos.toml`.

The gradient of a window is compared with that of the whole picture, by the distance from the window's cut sides. A
layer's halo is the smallest one with which the tiles of a photograph, as workers cut it, would have a cosine of at
least COSINE with the whole picture's gradient.
"""

from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import numpy.typing as npt
import skimage.data
import tensorflow as tf
import typer

from shared.networks import catalog
from shared.params import Target
from worker.dream.ascent import device
from worker.dream.ascent.gradient import gradient_of
from worker.dream.network import Network
from worker.dream.tiles.tiling import choose_layout
from worker.dream.types import Image
from worker.networks import registry

COSINE = 0.984  # the promise is 0.98: other photographs and cuts differ a little
PHOTOGRAPHS, TILE_PX = ((951, 1271), (1920, 2560)), 688  # (height, width), and the smallest usual tile for both
HEIGHT, WIDTH, CUT = 448, 896, 160  # the window lacks CUT columns on the left and on the right
STEP = 8  # halos are multiples of this
WIDEST = 256


def main(
    network: Annotated[str, typer.Argument(help="A network of the catalog.")],
    model_dir: Annotated[Path, typer.Option(envvar="DREAM_MODEL_DIR")] = Path("models"),
) -> None:
    """Prints the halos of all layers of a network as a TOML table."""
    device.prepare()
    model = catalog.model(network)
    loaded = registry.load(network, model_dir)
    typer.echo(f"[{network}]")
    for layer in model.layers:
        typer.echo(f'"{layer.name}" = {halo_from(lost_by_distance(loaded, layer.name), layer.stride)}')


def halo_from(lost: npt.NDArray[np.float64], stride: int) -> int:
    """Returns the smallest sufficient halo, pixels.

    lost: of a layer with that stride, by `lost_by_distance`.
    """
    for halo in range(2 * STEP, WIDEST, STEP):
        if all(_cuts_per_px(*photograph, stride, halo) * lost[halo:].sum() <= 1 - COSINE for photograph in PHOTOGRAPHS):
            return halo
    return WIDEST


def lost_by_distance(network: Network, layer: str) -> npt.NDArray[np.float64]:
    """Returns 1 - cosine of the window's and the whole picture's gradient at each distance from a cut side, pixels."""
    retina: Image = skimage.data.retina()  # type: ignore[no-untyped-call]
    picture = cv2.resize(retina, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA).astype(np.float32)
    compute = gradient_of(network, (Target(layer=layer),))
    whole = compute(tf.constant(picture[None])).numpy()[0][:, CUT:-CUT]
    part = compute(tf.constant(picture[None, :, CUT:-CUT])).numpy()[0]
    part *= (WIDTH - 2 * CUT) / WIDTH  # the objective is a mean over the window
    error, energy = ((values.astype(np.float64) ** 2).sum((0, 2)) for values in (part - whole, whole))
    half = len(energy) // 2
    errors, energies = (values[:half] + values[: half - 1 : -1][:half] for values in (error, energy))
    lost: npt.NDArray[np.float64] = errors / (2 * energies.mean())
    return lost


def _cuts_per_px(height: int, width: int, stride: int, halo: int) -> float:
    """Returns the share of the photograph's pixels that lie at a given distance from a cut."""
    layout = choose_layout(height, width, tile_size=TILE_PX, stride=stride, halo=halo)
    return 2 * (len(layout.rows.cuts) / height + len(layout.columns.cuts) / width)


if __name__ == "__main__":
    typer.run(main)
