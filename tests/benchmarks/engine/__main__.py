"""`make bench`: compares the engine with the bare gradient and with a plain implementation, on this machine."""

import argparse
import json
import logging
import platform
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data
import structlog
from rich.console import Console
from rich.table import Table

from shared.networks import catalog
from shared.params import DreamParams, Target
from tests.benchmarks.engine import observer_cost, similarity, speed
from tests.benchmarks.engine.networks import TARGETS, load
from worker.dream.ascent import device

SPEEDUP = {"efficientnet-lite0": 3.0, "inception5h": 1.9}  # over the plain reference, at least
OVER_BARE = {"efficientnet-lite0": 1.30, "inception5h": 1.20}  # of the best bare gradient, at most
LINEAR_SIZES = [(1500, 2000), (3000, 4000), (4000, 6000)]  # (height, width), pixels; each at most 1.10 times the first
BUDGETS_GIB = {"3 MP": 3, "12 MP": 3, "100 MP": 6}  # of which resident memory takes at most a twentieth more


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="a minute: small pictures, Lite0 alone, no large ones")
    parser.add_argument("--json", type=Path, default=Path("build/bench.json"), help="where the numbers are kept")
    args = parser.parse_args()
    device.prepare()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))
    console = Console()
    found = {"machine": machine(), "short": args.short, "networks": {}}
    for name in ["efficientnet-lite0"] if args.short else list(TARGETS):
        console.print(f"[dim]{name} …")
        found["networks"][name] = measure(load(name), Target(layer=TARGETS[name]), short=args.short)
        console.print(speed_table(name, found["networks"][name]))
    found["watch_share"], found["watch_calls"] = observer_cost.share(
        width=640 if args.short else 1280, height=480 if args.short else 960
    )
    console.print(
        f"progress, previews, checkpoints, looks for cancel and drain: {found['watch_share']:.2%} (goal: under 1 %)"
    )
    console.print("[dim]memory …")
    found["memory"] = memories(short=args.short)
    console.print(memory_table(found["memory"]))
    if not args.short:
        found["cosines"] = cosines()
        console.print(cosine_table(found["cosines"]))
        if device.cores() >= 2:
            console.print("[dim]a dream of 24 megapixels by two workers …")
            found["shared"] = in_a_process("--rounds", "1", module="tests.benchmarks.scale.shared_dream")
            gain, goal = found["shared"]["gain"], found["shared"]["goal"]
            console.print(f"two workers of one core each: {gain:.2f} times as fast as one (goal: {goal})")
    args.json.parent.mkdir(parents=True, exist_ok=True)
    args.json.write_text(json.dumps(found, indent=1) + "\n")
    console.print(f"[dim]{args.json}")


def measure(network, target, *, short):
    photograph = cv2.resize(skimage.data.coffee(), (640, 480) if short else (1280, 960), interpolation=cv2.INTER_AREA)
    params = DreamParams(model=network.name, layers=(target,), octaves=3 if short else 5, iterations=3 if short else 10)
    params = catalog.resolve(params)
    found = {"target": target.layer}
    found |= speed.compare(network, params, photograph.astype(np.float32), rounds=1 if short else 6)
    found["small_network_share"] = speed.small(network, params)
    if not short:
        found["linear_us"] = speed.linear(network, params.layers, sizes=LINEAR_SIZES, rounds=4)
    return found


def memories(*, short):
    found = {"fifty small jobs": in_a_process("fifty")}
    sizes = {"3 MP": (1500, 2000, 5)} if short else {"12 MP": (3000, 4000, 5), "100 MP": (10_000, 10_000, 1)}
    for title, (height, width, octaves) in sizes.items():
        size = ("--size", str(height), str(width), "--octaves", str(octaves))
        found[title] = in_a_process("peak", *size, "--budget-gib", str(BUDGETS_GIB[title]))
    return found


def in_a_process(*args, module="tests.benchmarks.engine.memory"):
    command = [sys.executable, "-m", module, *args]
    return json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)


def cosines():
    lite0, inception = load("efficientnet-lite0"), load("inception5h")
    pairs = [(lite0, "block11_expand"), (lite0, "block13_expand"), (inception, "mixed4a"), (inception, "mixed4c")]
    return {layer: similarity.cosine(network, layer, height=1920, width=2560) for network, layer in pairs}


def machine():
    model = next(
        (line.split(":")[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return {"cpu": model, "cores": device.cores(), "device": device.describe(), **device.versions()}


def speed_table(name, found):
    table = Table("", "µs per pixel and iteration", "ratio", "goal", title=f"{name}, {found['target']}")
    best = min(found["bare_us"].values())
    for key, value in found["bare_us"].items():
        table.add_row(f"bare gradient, {key} px", f"{value:.3f}", f"{value / best:.2f}", "")
    engine, plain = found["engine_us"], found["plain_us"]
    table.add_row(f"plain reference, {found['plain_s']:.1f} s", f"{plain:.3f}", f"{plain / best:.2f}", "")
    over_bare = f"{found['over_bare']:.2f}"
    apart = f"rounds +{found['engine_spread']:.0%} at most, bare gradient +{found['bare_spread']:.0%}"
    table.add_row(f"engine, {found['engine_s']:.1f} s", f"{engine:.3f}", over_bare, f"≤ {OVER_BARE[name]:.2f}")
    table.add_row(f"  {apart}", "", "", "")
    for phase, us in found["engine_phases_us"].items():
        table.add_row(f"  {phase}", f"{us:.3f}", "", "")
    table.add_row("engine over plain", "", f"{found['over_plain']:.2f}", f"≥ {SPEEDUP[name]}")
    table.add_row("traces after the first dream", "", str(found["traces_after_the_first"]), "0")
    table.add_row("320x240: share in the network", "", f"{found['small_network_share']:.2f}", "≥ 0.5")
    smallest = None
    for size, rounds in found.get("linear_us", {}).items():
        least, spread = min(rounds), max(rounds) / min(rounds) - 1
        smallest = smallest or least
        goal = "" if least == smallest else "≤ 1.10"
        table.add_row(f"one octave of {size}, +{spread:.0%} at most", f"{least:.3f}", f"{least / smallest:.2f}", goal)
    return table


def memory_table(found):
    table = Table("", "above the idle worker", "resident, of the budget", "goal", title="memory, efficientnet-lite0")
    for title, row in found.items():
        if "of_budget" in row:
            size = f"{title}, budget {BUDGETS_GIB[title]} GiB, tiles of {row['tile_size']}"
            table.add_row(size, f"{row['above_idle_mb']:.0f} MB", f"{row['of_budget']:.2f}", "≤ 1.05")
        else:
            grown = row["after_50_mb"] - row["after_5_mb"]
            table.add_row(f"{title}: from the 5th to the 50th", f"{grown:+.1f} MB", "", "flat")
    return table


def cosine_table(found):
    table = Table("2560x1920, default tiles", "cosine with the whole picture's gradient", "goal")
    for layer, value in found.items():
        table.add_row(layer, f"{value:.4f}", "≥ 0.98")
    return table


if __name__ == "__main__":
    main()
