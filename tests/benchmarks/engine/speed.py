"""Microseconds per pixel and iteration: the bare gradient, the ordinary way, the engine; all in one process.

A shared machine is faster now and slower a minute later. So bare gradient, engine and plain reference take turns, each
is a mean over some seconds, and a ratio is one of neighbors: its median over the rounds says what holds on any day.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import mean, median

import numpy as np
import tensorflow as tf

from shared.networks.network_size import octave_sizes
from shared.params import DreamParams
from tests.benchmarks.engine import plain
from worker.dream.ascent import gradient as gradients
from worker.dream.ascent.gradient import gradient_of
from worker.dream.engine import choose_tile_size, dream

SIDES_PX = (400, 640, 1000)
BARE_S = 0.7  # for each way to compute the bare gradient, in each round


class Bare:
    """Repeats the gradient of one window: alone, or one window on each of two threads."""

    def __init__(self, network, targets):
        compute, random = gradient_of(network, targets), np.random.default_rng(0)
        self._ways = {}
        for side in SIDES_PX:
            window = tf.constant(random.random((1, side, side, 3), dtype=np.float32) * 255)
            self._ways[f"{side}"] = (side, 1, lambda _, window=window: compute(window).numpy())
            self._ways[f"{side} side by side"] = (side, 2, self._ways[f"{side}"][2])
        self._pool = ThreadPoolExecutor(2)
        self.round()  # builds the primitives

    def round(self):
        """Returns {variant: µs per pixel}, each the mean over `BARE_S` seconds."""
        found = {}
        for way, (side, at_once, once) in self._ways.items():
            calls, began = 0, time.perf_counter()
            while time.perf_counter() - began < BARE_S:
                once(0) if at_once == 1 else list(self._pool.map(once, range(2)))
                calls += at_once
            found[way] = (time.perf_counter() - began) / calls / side**2 * 1e6
        return found


def compare(network, params, photograph, *, rounds):
    """Times whole dreams of the engine and the plain reference in turns, and the bare gradient around each."""
    height, width, _ = photograph.shape
    params = params.model_copy(update={"tile_size": choose_tile_size(network, params, height, width)})
    sizes = octave_sizes(
        height, width, octaves=params.octaves, scale=params.octave_scale, minimum_px=network.minimum_px
    )
    steps_px = sum(h * w for h, w in sizes) * params.iterations
    ordinary, bare = plain.compiled(network, params.layers), Bare(network, params.layers)
    one_iteration = params.model_copy(update={"iterations": 1})
    plain.dream(photograph.copy(), one_iteration, ordinary, network.minimum_px)
    first_s = timed(lambda: dream(network, photograph.copy(), params))
    traced = gradients.traces()
    reports, engine_s, plain_s, bares = [], [], [], [bare.round()]
    for _ in range(rounds):
        engine_s.append(timed(lambda: reports.append(dream(network, photograph.copy(), params)[1])))
        bares.append(bare.round())
        plain_s.append(timed(lambda: plain.dream(photograph.copy(), params, ordinary, network.minimum_px)))
    bare_us = {way: median(round_us[way] for round_us in bares) for way in bares[0]}
    best = min(bare_us, key=bare_us.get)
    engine_us = [seconds / steps_px * 1e6 for seconds in engine_s]
    around_us = [mean((before[best], after[best])) for before, after in pairwise(bares)]
    return {
        "tile_size": params.tile_size,
        "bare_us": bare_us,
        "plain_us": median(plain_s) / steps_px * 1e6,
        "engine_us": median(engine_us),
        "engine_phases_us": {phase: phase_us(reports, phase, steps_px) for phase in ("network", "blur", "resize")},
        "engine_first_s": first_s,
        "engine_s": median(engine_s),
        "plain_s": median(plain_s),
        "over_bare": median(us / bare for us, bare in zip(engine_us, around_us, strict=True)),
        "over_plain": median(theirs / ours for theirs, ours in zip(plain_s, engine_s, strict=True)),
        "traces_after_the_first": gradients.traces() - traced,
    }


def phase_us(reports, phase, steps_px):
    return median(getattr(report.timings, f"{phase}_s") for report in reports) / steps_px * 1e6


def linear(network, targets, *, sizes, rounds):
    """µs per pixel of one iteration of one octave in each round, by megapixels; the sizes take turns."""
    jobs = {}
    for height, width in sizes:
        params = DreamParams(model=network.name, layers=targets, octaves=1, iterations=1, jitter=16)
        params = params.model_copy(update={"tile_size": choose_tile_size(network, params, height, width)})
        image = np.random.default_rng(0).random((height, width, 3), dtype=np.float32) * 255
        jobs[f"{height * width / 1e6:.0f} MP"] = (image, params, max(1, 12_000_000 // (height * width)))
        dream(network, image, params)  # builds the primitives
    found = {size: [] for size in jobs}
    for _ in range(rounds):
        for size, (image, params, times) in jobs.items():
            seconds = timed(
                lambda image=image, params=params, n=times: [dream(network, image, params) for _ in range(n)]
            )
            found[size].append(seconds / times / (image.size / 3) * 1e6)
    return found


def small(network, params):
    """Returns the share of a 320x240 dream that is spent in the network, after the first dream."""
    image = np.random.default_rng(0).random((240, 320, 3), dtype=np.float32) * 255
    params = params.model_copy(update={"tile_size": 256})
    dream(network, image.copy(), params)
    timings = dream(network, image.copy(), params)[1].timings
    return timings.network_s / timings.total_s


def timed(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
