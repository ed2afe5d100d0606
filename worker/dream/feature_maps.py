"""Computes feature maps: a layer's activation for an image, channel by channel, as a labeled grid and as numbers."""

import io
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont
from pydantic import BaseModel, ConfigDict

from shared.networks.network_size import MAPS_PX
from shared.params import FeatureMapsParams
from worker.dream.activations import layer_activations, sized
from worker.dream.ascent import device
from worker.dream.network import Network
from worker.dream.types import Image

CELL_PX, GAP_PX, LABEL_PX, TITLE_PX = 192, 12, 20, 44  # CELL_PX: a map's longer side
_INK, _PAPER = (230, 232, 238), (16, 18, 24)


class Cell(BaseModel):
    """Locates a channel's map in the picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    channel: int
    x: int  # pixels of the picture
    y: int
    width: int
    height: int
    strength: float  # mean of the activation's squares: the objective of a job that targets this channel


class FeatureMapsReport(BaseModel):
    """Records how the maps were made, and where each is in the picture."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    params: FeatureMapsParams
    model: str
    weights_sha256: str
    device: str
    size: tuple[int, int]  # (height, width) of the image that the network processed
    cells: tuple[Cell, ...]
    versions: dict[str, str]
    warnings: tuple[str, ...] = ()  # what of the inputs was ignored, and what of the result is not as asked

    def with_warnings(self, warnings: tuple[str, ...]) -> "FeatureMapsReport":
        return self.model_copy(update={"warnings": warnings})

    def recipe(self) -> dict[str, object]:
        """Returns the fields that are embedded in the picture file."""
        return self.model_dump(mode="json", include={"params", "model", "weights_sha256", "versions"})

    def to_json(self) -> bytes:
        return self.model_dump_json(indent=1).encode()


@dataclass(frozen=True, kw_only=True)
class FeatureMaps:
    """Holds the drawn grid, the raw numbers and the report."""

    picture: npt.NDArray[np.float32]  # (H, W, 3), RGB, 0..255
    numbers: bytes  # NPZ: maps (h', w', channels) float32, channels
    report: FeatureMapsReport


def feature_maps(network: Network, image: Image, params: FeatureMapsParams) -> FeatureMaps:
    """Returns the maps of the channels that the parameters choose, or else of the strongest ones, strongest first.

    image: float32 (H, W, 3), RGB, 0..255.   params: resolved (`shared.networks.catalog.resolve_maps`).
    """
    layer = params.layer or ""
    seen = sized(image, longest_px=MAPS_PX, minimum_px=network.minimum_px)
    activation: npt.NDArray[np.float32] = layer_activations(network, seen, [layer])[0].numpy()  # (h', w', c)
    strength = np.mean(np.square(activation), axis=(0, 1))  # (c,)
    channels = params.channels or tuple(np.argsort(-strength, kind="stable")[: params.count].tolist())
    maps = activation[..., list(channels)]
    how = "" if params.channels else f"the {len(channels)} strongest "
    title = f"{params.model}   {layer}   {how}of {activation.shape[-1]} channels"
    picture, boxes = draw(maps, [f"channel {channel}" for channel in channels], title, seen.shape[1] / seen.shape[0])
    file = io.BytesIO()
    np.savez_compressed(file, maps=maps, channels=np.array(channels))
    return FeatureMaps(
        picture=picture,
        numbers=file.getvalue(),
        report=FeatureMapsReport(
            params=params,
            model=network.name,
            weights_sha256=network.weights_sha256,
            device=device.describe(),
            size=(seen.shape[0], seen.shape[1]),
            cells=tuple(
                Cell(channel=channel, x=x, y=y, width=width, height=height, strength=float(strength[channel]))
                for channel, (x, y, width, height) in zip(channels, boxes, strict=True)
            ),
            versions=device.versions(),
        ),
    )


def draw(
    maps: npt.NDArray[np.float32], labels: Sequence[str], title: str, aspect: float
) -> tuple[Image, list[tuple[int, int, int, int]]]:
    """Draws the grid. Returns it, float32 (H, W, 3), with each map's box (x, y, width, height) in pixels.

    Every map has its own color scale, and its largest value is yellow.
    maps: (h', w', n); labels: n of them; aspect: the image's width over its height.
    """
    cell_w = round(CELL_PX * min(1.0, aspect))
    cell_h = max(1, round(CELL_PX / max(1.0, aspect)))
    columns = int(np.ceil(np.sqrt(len(labels) * cell_h / cell_w)))
    rows = -(-len(labels) // columns)
    width = columns * (cell_w + GAP_PX) + GAP_PX
    small, large = ImageFont.load_default(12), ImageFont.load_default(18)
    width = max(width, round(large.getlength(title)) + 2 * GAP_PX)
    picture = Pillow.new("RGB", (width, TITLE_PX + rows * (cell_h + LABEL_PX + GAP_PX)), _PAPER)
    pen = ImageDraw.Draw(picture)
    pen.text((GAP_PX, TITLE_PX // 2), title, _INK, large, anchor="lm")
    boxes = []
    for index, label in enumerate(labels):
        x = GAP_PX + index % columns * (cell_w + GAP_PX)
        y = TITLE_PX + index // columns * (cell_h + LABEL_PX + GAP_PX)
        one = maps[..., index]
        picture.paste(_viridis(one).resize((cell_w, cell_h), Pillow.Resampling.NEAREST), (x, y))
        pen.text((x, y + cell_h + LABEL_PX // 2), label, _INK, small, anchor="lm")
        pen.text((x + cell_w, y + cell_h + LABEL_PX // 2), f"{one.max():.3g}", _INK, small, anchor="rm")
        boxes.append((x, y, cell_w, cell_h))
    return np.asarray(picture, np.float32), boxes


def _viridis(one: npt.NDArray[np.float32]) -> Pillow.Image:
    low, high = float(one.min()), float(one.max())
    gray = np.rint((one - low) * (255 / (high - low or 1))).astype(np.uint8)
    return Pillow.fromarray(cv2.cvtColor(cv2.applyColorMap(gray, cv2.COLORMAP_VIRIDIS), cv2.COLOR_BGR2RGB))
