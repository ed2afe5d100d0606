"""Estimates what 2 to 32 workers bring to one large dream, from measured costs. Prints the tables of docs/SCALING.md.

An iteration ends when all tiles are computed and the coordinator has blurred the gradient and changed the image.
Whatever takes longest decides: the helpers, the coordinator, Redis or the network. The coordinator computes as many
tiles as is best.
"""

import math
import sys
from dataclasses import dataclass, replace

from shared.networks.network_size import octave_sizes
from shared.params import DreamParams
from worker.dream.tiles.tiling import Layout, choose_layout

BYTES_PER_PX = 12
GBIT = 1e9 / 8
COUNTS = (2, 4, 8, 16, 32)
OCTAVES, ITERATIONS = 3, 10


@dataclass(frozen=True)
class Costs:
    """Seconds per pixel unless named otherwise, of a worker with all of its cores."""

    tile: float  # of a window
    blur: float  # of the image, and the step
    rest: float  # of the image and octave: resizing; of the coordinator alone
    handling: float  # seconds per byte that the coordinator sends or receives, of its processor
    redis: float  # seconds per byte that Redis receives or sends, of its one core
    network: float  # bytes per second, each way, of the machine of Redis
    latency: float  # seconds per byte until a window is with a helper, and a gradient back


def iteration_s(costs: Costs, layout: Layout, workers: int) -> float:
    """Estimates one iteration of an octave with that many workers."""
    px, window_px, tiles = layout.rows.length * layout.columns.length, math.prod(layout.window), layout.count
    tile_s, blur_s = costs.tile * window_px, costs.blur * px
    if workers == 1:
        return tiles * tile_s + blur_s
    tail_s = blur_s / len(layout.rows.origins)  # the last row of tiles is blurred when all else is done
    sent_bytes = (window_px + px / tiles) * BYTES_PER_PX

    def with_own(own: int) -> float:
        given = tiles - own
        helpers_s = costs.latency * sent_bytes + math.ceil(given / (workers - 1)) * tile_s
        coordinator_s = own * tile_s + given * costs.handling * sent_bytes + blur_s - tail_s
        redis_s = given * 2 * sent_bytes * costs.redis
        network_s = given * sent_bytes / costs.network
        return max(helpers_s, coordinator_s, redis_s, network_s)

    return min(with_own(own) for own in range(tiles + 1)) + tail_s


def dream_s(costs: Costs, octaves: list[Layout], workers: int) -> float:
    ascent_s = ITERATIONS * sum(iteration_s(costs, layout, workers) for layout in octaves)
    return ascent_s + costs.rest * sum(layout.rows.length * layout.columns.length for layout in octaves)


def octaves_of(megapixels: float, *, tile_size: int = 1536, stride: int = 16, halo: int = 48) -> list[Layout]:
    """Returns how the octaves of a photograph are cut."""
    height = round((megapixels * 1e6 / 1.5) ** 0.5)
    scale = DreamParams().octave_scale
    sizes = octave_sizes(height, round(1.5 * height), octaves=OCTAVES, scale=scale, minimum_px=64)
    return [choose_layout(*size, tile_size=tile_size, stride=stride, halo=halo, side_by_side=True) for size in sizes]


LITE0 = Costs(  # one core of an AMD EPYC, as `python -m tests.benchmarks.scale.shared_dream` measured it
    tile=0.45e-6, blur=0.030e-6, rest=0.056e-6, handling=0.7e-9, redis=0.9e-9, network=10 * GBIT, latency=3.6e-9
)
GOOGLENET = replace(LITE0, tile=1.5e-6)
GPU = replace(LITE0, tile=0.0128e-6, blur=0.0014e-6, rest=0.016e-6)  # GoogLeNet on an H100; see docs/SPEED.md


def cores(costs: Costs, count: int) -> Costs:
    """Returns the costs of workers with that many cores, which tiles and strips share without loss."""
    return replace(costs, tile=costs.tile / count, blur=costs.blur / count, handling=costs.handling / count)


def main() -> None:
    usual, large = octaves_of(24), octaves_of(100)
    rows = {
        "Lite0, 24 megapixels, 1 core each": (LITE0, usual),
        "Lite0, 100 megapixels, 1 core each": (LITE0, large),
        "Lite0, 100 megapixels, 1 core each, 1 Gbit/s": (replace(LITE0, network=GBIT), large),
        "Lite0, 100 megapixels, 4 cores each": (cores(LITE0, 4), large),
        "GoogLeNet, 24 megapixels, 1 core each": (GOOGLENET, usual),
        "GoogLeNet, 100 megapixels, 1 core each": (GOOGLENET, large),
        "GoogLeNet, 100 megapixels, 4 cores each": (cores(GOOGLENET, 4), large),
        "GoogLeNet, 100 megapixels, 16 cores each": (cores(GOOGLENET, 16), large),
        "GPUs, 100 megapixels (an H100's costs; they do not share)": (GPU, large),
    }
    sys.stdout.write(f"| workers | {' | '.join(map(str, COUNTS))} |\n|---|{'---|' * len(COUNTS)}\n")
    for title, (costs, octaves) in rows.items():
        gains = [dream_s(costs, octaves, 1) / dream_s(costs, octaves, workers) for workers in COUNTS]
        sys.stdout.write(f"| {title} | {' | '.join(f'{gain:.1f}' for gain in gains)} |\n")


if __name__ == "__main__":
    main()
