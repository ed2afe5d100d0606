"""Dreams on a huge picture within a memory budget, and compares its cost per pixel with that of 12 megapixels.

The picture is made here, by bands: a photograph enlarged to fill it, with the same photograph at its own size on top,
so that every part has detail. `make bench-gigapixel` runs one iteration of 40000x25000; smaller ones by --size.
"""

import argparse
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import skimage.data

from shared.networks import catalog
from shared.params import DreamParams
from tests.benchmarks.engine.memory import resident_bytes
from tests.benchmarks.engine.networks import load
from worker.dream import scratch
from worker.dream.ascent import device
from worker.dream.engine import choose_tile_size, dream
from worker.dream.resize import resized

USUAL = (3000, 4000)  # (height, width): what a pixel costs there is the measure
CROP = 900  # pixels


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", type=int, nargs=2, default=(25_000, 40_000), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--octaves", type=int, default=1)
    parser.add_argument("--iterations", type=int, default=1)
    parser.add_argument("--memory-gib", type=float, default=4.0)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--crops", type=Path, help="folder for parts of the result, to look at")
    args = parser.parse_args()
    device.prepare()
    device.set_memory_budget(int(args.memory_gib * 2**30))
    network = load(args.network)
    params = catalog.resolve(DreamParams(model=network.name, octaves=args.octaves, iterations=args.iterations))
    usual = [measured(network, params, *USUAL)]
    huge = measured(network, params, *args.size, crops=args.crops)
    usual.append(measured(network, params, *USUAL))
    least = {key: min(run[key] for run in usual) for key in usual[0]}
    for title, found in (("12 megapixels", least), ("{1}x{0}".format(*args.size), huge)):
        sys.stdout.write(f"{title}: " + ", ".join(f"{key} {value:.3f}" for key, value in found.items()) + "\n")
    ratio = huge["total s/MP"] / least["total s/MP"]
    sys.stdout.write(f"a pixel costs {ratio:.2f} times as much (goal: at most 1.20)\n")


def measured(network, params, height, width, *, crops=None):
    """Returns seconds per megapixel of the final image, and the peak of resident memory."""
    image = picture(height, width)
    params = params.model_copy(update={"tile_size": choose_tile_size(network, params, height, width)})
    Path("/proc/self/clear_refs").write_text("5")  # forgets the peak so far
    begun_s = time.perf_counter()
    result, report = dream(network, image, params)
    total_s, megapixels = time.perf_counter() - begun_s, height * width / 1e6
    peak_bytes = resident_bytes("VmHWM")
    if crops:
        save_crops(result, crops)
    timings = report.timings
    return {
        "total s/MP": total_s / megapixels,
        "network s/MP": timings.network_s / megapixels,
        "blur s/MP": timings.blur_s / megapixels,
        "resize s/MP": timings.resize_s / megapixels,
        "peak GiB": peak_bytes / 2**30,
        "tile px": params.tile_size,
    }


def picture(height, width):
    """Returns a picture of that size, float32 (H, W, 3), 0..255."""
    photograph = skimage.data.coffee().astype(np.float32)
    image = scratch.empty((height, width, 3))
    for place, large in resized(photograph.__getitem__, photograph.shape[:2], (height, width)):
        image[place] = large
    detail = photograph - cv2.GaussianBlur(photograph, (0, 0), 20)
    across = np.tile(detail, (1, -(-width // detail.shape[1]), 1))[:, :width]
    for rows in scratch.bands(height, width):
        image[rows] += across[np.arange(rows.start, rows.stop) % len(across)]
        np.clip(image[rows], 0, 255, out=image[rows])
    return image


def save_crops(image, folder):
    """Saves five parts at their own size, and the whole in small."""
    folder.mkdir(parents=True, exist_ok=True)
    height, width, _ = image.shape
    step = max(1, width // 1600)
    for name, part in {
        "whole": np.stack([image[row, ::step].copy() for row in _thin(height, step)]),
        **{
            f"part-{y}-{x}": image[top : top + CROP, left : left + CROP]
            for y, top in enumerate(np.linspace(0, height - CROP, 3, dtype=int))
            for x, left in enumerate(np.linspace(0, width - CROP, 3, dtype=int))
            if (y + x) % 2 == 0
        },
    }.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.rint(part[..., ::-1]).astype(np.uint8))
        scratch.release()


def _thin(height, step):
    """Yields rows, `step` apart, and releases what was touched."""
    for row in range(0, height, step):
        yield row
        scratch.release()


if __name__ == "__main__":
    main()
