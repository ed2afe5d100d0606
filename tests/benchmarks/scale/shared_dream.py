"""Measures how much faster two workers are at one large dream than one, each pinned to a core. Prints JSON.

Compares the bytes of the two results. The times are the reports', from the start of the dream to its end.
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

from tests.benchmarks.scale.__main__ import Fleet


def photograph(path: Path, megapixels: float) -> Path:
    """Writes a photograph of a cup of coffee at that size."""
    scale = (megapixels * 1e6 / (400 * 600)) ** 0.5
    large = cv2.resize(skimage.data.coffee(), None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    Image.fromarray(large).save(path, quality=90)
    return path


def dreamt(fleet: Fleet, photo: Path, params: dict) -> dict:
    """Runs one job to its end. Returns its times, its helpers and the checksum of its result."""
    client = fleet.client
    job = client.submit(photo, params)
    while not client.get(job.id).state.is_terminal:
        time.sleep(0.2)
    report = client.report(job.id)
    result = client.download(job.id, photo.parent / f"{job.id}.png")
    return {
        "timings": report["timings"],
        "helpers": report["helpers"],
        "sha256": hashlib.sha256(result.read_bytes()).hexdigest(),
    }


def measure(workers: int, args: argparse.Namespace) -> dict:
    params = {"model": args.model, "octaves": args.octaves, "iterations": args.iterations}
    with tempfile.TemporaryDirectory(prefix="bench-shared-") as folder:
        photo = photograph(Path(folder) / "large.jpg", args.megapixels)
        small = photograph(Path(folder) / "small.jpg", 0.2)
        fleet = Fleet(Path(folder) / "home", workers)
        try:
            for _ in range(2 * workers):
                dreamt(fleet, small, params)  # compiles what is compiled once
            return {"workers": workers, "load_before": round(os.getloadavg()[0], 1), **dreamt(fleet, photo, params)}
        finally:
            fleet.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megapixels", type=float, default=24)
    parser.add_argument("--model", default="efficientnet-lite0")
    parser.add_argument("--octaves", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=3)
    args = parser.parse_args()
    alone, shared = (measure(workers, args) for workers in (1, 2))
    gain = alone["timings"]["total_s"] / shared["timings"]["total_s"]
    found = {"alone": alone, "shared": shared, "gain": round(gain, 2), "same": alone["sha256"] == shared["sha256"]}
    sys.stdout.write(json.dumps(found, indent=2) + "\n")
    if not found["same"]:
        raise SystemExit("The two results differ.")


if __name__ == "__main__":
    main()
