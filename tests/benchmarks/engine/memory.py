"""Measures the peak memory of one dream above the idle worker, in a process of its own. Prints JSON."""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from shared.networks import catalog
from shared.params import DreamParams
from tests.benchmarks.engine.networks import load
from worker.dream import scratch
from worker.dream.ascent import device
from worker.dream.engine import choose_tile_size, dream


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kind", choices=["peak", "fifty"])
    parser.add_argument("--network", default="efficientnet-lite0")
    parser.add_argument("--size", type=int, nargs=2, default=(240, 320), metavar=("HEIGHT", "WIDTH"))
    parser.add_argument("--octaves", type=int, default=5)
    parser.add_argument("--budget-gib", type=float, default=3.0)
    args = parser.parse_args()
    device.prepare()
    device.describe()
    network = load(args.network)
    sys.stdout.write(json.dumps(peak(network, args) if args.kind == "peak" else fifty(network)))


def peak(network, args):
    """Peak of resident memory: above the worker that has dreamed nothing, and as a share of the budget."""
    height, width = args.size
    device.set_memory_budget(int(args.budget_gib * 2**30))
    params = catalog.resolve(DreamParams(model=network.name, octaves=args.octaves, iterations=1))
    params = params.model_copy(update={"tile_size": choose_tile_size(network, params, height, width)})
    idle = resident_bytes("VmRSS")
    image, random = scratch.empty((height, width, 3)), np.random.default_rng(0)
    for rows in scratch.bands(height, width):
        image[rows] = 255 * random.random(image[rows].shape, dtype=np.float32)
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    dream(network, image, params)
    resident = resident_bytes("VmHWM")
    return {
        "above_idle_mb": (resident - idle) / 2**20,
        "of_budget": resident / (args.budget_gib * 2**30),
        "tile_size": params.tile_size,
    }


def fifty(network):
    """Returns the resident megabytes after the fifth and after the fiftieth of fifty small jobs."""
    random, resident = np.random.default_rng(0), []
    for job in range(50):
        params = catalog.resolve(DreamParams(model=network.name, octaves=3, iterations=2, seed=job, tile_size=256))
        dream(network, random.random((240, 320, 3), dtype=np.float32) * 255, params)
        resident.append(resident_bytes("VmRSS") / 2**20)
    return {"after_5_mb": resident[4], "after_50_mb": resident[-1]}


def resident_bytes(key):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(key)) * 1024


if __name__ == "__main__":
    main()
