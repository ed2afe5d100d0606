"""Measures how much faster two workers are at one large dream than one, each pinned to a core. Prints JSON.

Two stacks, with one and with two workers, take turns; the least time of each counts. Compares the bytes of all results.
The times are the reports', from the start of the dream to its end.
"""

import argparse
import hashlib
import json
import os
import sys
import tempfile
import time
from pathlib import Path

import cv2
import skimage.data
from PIL import Image

from shared.redis.job_store import RedisJobStore
from tests.benchmarks.scale.__main__ import Fleet, grown

GOALS = {"efficientnet-lite0": 1.75, "googlenet": 1.85}  # at 24 megapixels


def photograph(path: Path, megapixels: float) -> Path:
    """Writes a photograph of a cup of coffee at that size."""
    scale = (megapixels * 1e6 / (400 * 600)) ** 0.5
    large = cv2.resize(skimage.data.coffee(), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    Image.fromarray(large).save(path, quality=90)
    return path


def dreamt(fleet: Fleet, photo: Path, params: dict) -> dict:
    """Runs one job to its end. Returns its times, its helpers, its tile and the checksum of its result."""
    store = RedisJobStore.connect(fleet.stack.settings)
    while any(worker.job_id for worker in store.workers()):
        time.sleep(0.2)  # until all have registered as idle
    client, before = fleet.client, fleet.processor_s()
    job = client.submit(photo, params)
    while not client.get(job.id).state.is_terminal:
        time.sleep(1)  # asking takes time of the workers' cores
    report = client.report(job.id)
    result = client.download(job.id, photo.parent / f"{job.id}.png")
    used = grown(before, fleet.processor_s())
    return {
        **report["timings"],
        "helpers": report["helpers"],
        "tile_size": report["tile_size"],
        "processor_s": {name: round(seconds, 1) for name, seconds in sorted(used.items()) if seconds > 0.1},
        "sha256": hashlib.sha256(result.read_bytes()).hexdigest(),
    }


def measure(args: argparse.Namespace) -> dict:
    """Returns what `args.rounds` dreams by one worker and by two took."""
    params = {"model": args.model, "octaves": args.octaves, "iterations": args.iterations}
    found: dict = {"load_before": round(os.getloadavg()[0], 1), "alone": [], "shared": []}
    with tempfile.TemporaryDirectory(prefix="bench-shared-") as folder:
        photo = photograph(Path(folder) / "large.jpg", args.megapixels)
        small = photograph(Path(folder) / "small.jpg", 0.2)
        fleets: dict[str, Fleet] = {}
        try:
            for workers, name in enumerate(("alone", "shared"), start=1):
                fleets[name] = Fleet(Path(folder) / name, workers, args.cores)
                for _ in range(2 * workers):
                    dreamt(fleets[name], small, params)  # compiles what is compiled once
            for _ in range(args.rounds):
                for name, fleet in fleets.items():
                    found[name].append(dreamt(fleet, photo, params))
                    sys.stderr.write(f"{name}: {found[name][-1]['total_s']:.1f} s\n")
                    params["tile_size"] = found[name][-1]["tile_size"]
        finally:
            for fleet in fleets.values():
                fleet.stop()
    return found


def gain(found: dict) -> float:
    alone, shared = (min(run["total_s"] for run in found[name]) for name in ("alone", "shared"))
    return round(alone / shared, 2)


def same(found: dict) -> bool:
    return len({run["sha256"] for name in ("alone", "shared") for run in found[name]}) == 1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--octaves", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cores", type=int, nargs=2, default=(0, 1), help="of the workers; run the program on others")
    args = parser.parse_args()
    found = measure(args)
    found |= {"gain": gain(found), "goal": GOALS.get(args.model), "same": same(found)}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if not found["same"]:
        raise SystemExit("The results differ.")


if __name__ == "__main__":
    main()
