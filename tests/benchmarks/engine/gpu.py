"""`make bench-gpu`: measures the GPU's path of the engine. Prints what to send us from a machine with a GPU.

On a machine without one, the same code runs on the CPU; then the numbers say nothing but that it works.
"""

import argparse
import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import tensorflow as tf
from rich.console import Console
from rich.table import Table
from scipy.spatial import distance

from shared.networks import catalog
from shared.params import DreamParams
from tests.benchmarks.engine.__main__ import machine
from tests.benchmarks.engine.networks import load
from tests.benchmarks.engine.speed import timed
from worker.dream.ascent import device, host_ascent, memory
from worker.dream.ascent.gradient import gradient_of
from worker.dream.ascent.host_ascent import Ascent
from worker.dream.ascent.memory import TilePlan
from worker.dream.gpu import gpu_ascent
from worker.dream.progress.progress_tracker import ProgressTracker

SIZES = [(960, 1280), (1500, 2000), (3000, 4000), (6000, 8000)]  # (height, width), pixels
TILES_PX = [512, 1024, 2048]
SHORT_SIZES, SHORT_TILES_PX = [(240, 320)], [256]
ITERATIONS, ROUNDS = 3, 3
ITERATIONS_ON_GPU = 10  # an octave's, as people run it: the picture is sent and fetched once per octave


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--mixed-precision", action="store_true", help="multiply in TensorFloat-32")
    parser.add_argument("--large", action="store_true", help="up to 48 megapixels; the default with a GPU")
    parser.add_argument("--short", action="store_true", help="one small picture")
    parser.add_argument("--json", type=Path, default=Path("build/bench-gpu.json"), help="where the numbers are kept")
    parser.add_argument("--host", type=Path, help=argparse.SUPPRESS)  # the CPU's part, in a process without the GPU
    args = parser.parse_args()
    device.prepare(mixed_precision=args.mixed_precision)
    args.large |= device.gpu() is not None
    network = load(args.network)
    if args.host:
        args.host.with_suffix(".json").write_text(json.dumps(on_the_host(network, args)))
        return
    found = {"machine": about(), "network": args.network, "sizes": {}}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "host"
        hidden = os.environ | {"CUDA_VISIBLE_DEVICES": "-1"}
        options = [
            "--network",
            args.network,
            "--host",
            str(path),
            *(f"--{name}" for name in ("short", "large") if vars(args)[name]),
        ]
        subprocess.run([sys.executable, "-m", "tests.benchmarks.engine.gpu", *options], check=True, env=hidden)
        host = json.loads(path.with_suffix(".json").read_text())
        for size in sizes_of(args):
            found["sizes"][title(size)] = on_the_device(network, size, args, path) | {"host_us": host[title(size)]}
    console = Console(width=150)
    console.print_json(json.dumps(found["machine"]))
    console.print(table(found))
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(found, indent=1) + "\n")
    console.print(f"Please send us {args.json}, with the card's name.")


def about():
    """Describes card, driver, TensorFlow and its CUDA."""
    build = tf.sysconfig.get_build_info()
    query = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total,power.limit", "--format=csv,noheader"]
    try:
        cards = subprocess.run(query, capture_output=True, check=True, text=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        cards = "none that nvidia-smi knows"
    return machine() | {
        "cards": cards,
        "tensorflow_uses": device.gpu() or "the CPU",
        "cuda": build.get("cuda_version"),
        "cudnn": build.get("cudnn_version"),
    }


def on_the_host(network, args):
    """Measures the CPU's path; keeps the picture after one iteration, to compare."""
    found = {}
    for size in sizes_of(args):
        np.save(args.host.with_name(f"{title(size)}.npy"), once(host_ascent.ascend, network, size, args)[0])
        way = runner(host_ascent.ascend, network, size, tiles_of(args)[0], ITERATIONS)
        found[title(size)] = microseconds([way], size, ITERATIONS)[0]
    return found


def on_the_device(network, size, args, host):
    """Measures the device's path for each tile size, and by bands, in turns; compares it with the host's."""
    image, traffic = once(gpu_ascent.ascend, network, size, args)
    again, _ = once(gpu_ascent.ascend, network, size, args)
    iterations = ITERATIONS if device.gpu() is None else ITERATIONS_ON_GPU
    ways = {
        f"tiles of {tile_size}": runner(gpu_ascent.ascend, network, size, tile_size, iterations)
        for tile_size in tiles_of(args)
    }
    ways["in bands"] = runner(ascend_by_bands, network, size, tiles_of(args)[-1], iterations)
    of_host, start = np.load(host.with_name(f"{title(size)}.npy")), picture(*size)
    return {
        "us": dict(zip(ways, microseconds(list(ways.values()), size, iterations), strict=True)),
        "gray_levels_from_host": float(np.abs(image - of_host).max()),
        "change_cosine_to_host": 1 - distance.cosine((image - start).ravel(), (of_host - start).ravel()),
        "repeats_byte_for_byte": image.tobytes() == again.tobytes(),
        "one_iteration": traffic,
        "device_bytes_per_px": device_bytes_per_px(network, size, tiles_of(args)[0]),
    }


def device_bytes_per_px(network, size, tile_size):
    """Returns the device memory at its peak, by pixels of the image, with one small tile at a time; None on a CPU."""
    if (name := device.gpu()) is None:
        return None
    ascent = an_ascent(network, size, tile_size, 1)
    ascent.plan.batch = 1
    tf.config.experimental.reset_memory_stats(name)
    gpu_ascent.ascend(ascent, picture(*size), 0, 0)
    return tf.config.experimental.get_memory_info(name)["peak"] / (size[0] * size[1])


def ascend_by_bands(*arguments):
    return host_ascent.ascend(*arguments, fill=gpu_ascent.fill_by_bands)


def once(ascend, network, size, args):
    """Runs one iteration. Returns the picture, and the calls and transfers, the image's own included."""
    ascent, image = an_ascent(network, size, tiles_of(args)[0], 1), picture(*size)
    before = dataclasses.asdict(gpu_ascent.traffic)
    ascend(ascent, image, 0, 0)
    after = dataclasses.asdict(gpu_ascent.traffic)
    return image, {name: after[name] - before[name] for name in after}


def runner(ascend, network, size, tile_size, iterations):
    ascent, image = an_ascent(network, size, tile_size, iterations), picture(*size)
    return lambda: ascend(ascent, image.copy(), 0, 0)


def an_ascent(network, size, tile_size, iterations):
    params = catalog.resolve(DreamParams(model=network.name, iterations=iterations, tile_size=tile_size))
    layers = [target.layer for target in params.layers]
    return Ascent(
        params=params,
        gradient=gradient_of(network, params.layers),
        stride=network.stride(layers),
        halo=network.halo(layers),
        plan=TilePlan(tile_size, memory.batch_for(network, tile_size, *size, device.cores())),
        progress=ProgressTracker(None, [size], iterations),
    )


def microseconds(ways, size, iterations):
    """Returns µs per pixel and iteration of each way: the least of some rounds in turns, after one that warms up."""
    seconds = [[timed(way) for way in ways] for _ in range(1 + ROUNDS)][1:]
    return [min(times) / iterations / (size[0] * size[1]) * 1e6 for times in zip(*seconds, strict=True)]


def table(found):
    ways = next(iter(found["sizes"].values()))["us"]
    columns = [
        "picture",
        "host",
        *ways,
        "gray levels off",
        "cosine",
        "repeats",
        "device B/px",
        "calls, uploads, fetches",
    ]
    shown = Table(*columns, title=f"{found['network']}, µs per pixel and iteration")
    for size, row in found["sizes"].items():
        times = [f"{us:.4f}" for us in (row["host_us"], *row["us"].values())]
        traffic = ", ".join(map(str, row["one_iteration"].values()))
        repeats = "yes" if row["repeats_byte_for_byte"] else "NO"
        taken = "-" if row["device_bytes_per_px"] is None else f"{row['device_bytes_per_px']:.0f}"
        off = f"{row['gray_levels_from_host']:.1e}", f"{row['change_cosine_to_host']:.5f}"
        shown.add_row(size, *times, *off, repeats, taken, traffic)
    return shown


def sizes_of(args):
    return SHORT_SIZES if args.short else SIZES if args.large else SIZES[:1]


def tiles_of(args):
    return SHORT_TILES_PX if args.short else TILES_PX


def title(size):
    return f"{size[1]}x{size[0]}"


def picture(height, width):
    """Returns a photograph: on noise, which no network expects, rounding alone moves many units across their kinks."""
    return cv2.resize(skimage.data.retina().astype(np.float32), (width, height), interpolation=cv2.INTER_LANCZOS4)


if __name__ == "__main__":
    main()
