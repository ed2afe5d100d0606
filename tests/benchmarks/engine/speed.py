"""Microseconds per pixel and iteration: the bare gradient, the ordinary way, the engine; all in one process.

A shared machine is faster now and slower a minute later, and never faster than it is alone. So bare gradient, engine
and plain reference take turns, in samples of some tenths of a second where possible, and the least time of each sample
counts. A sample of the engine is one iteration, with all that comes before the next one: the least times of all of a
dream's samples add up to the dream. The spread says how far apart whole rounds were.
"""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from statistics import median

import numpy as np
import tensorflow as tf

from shared.networks.network_size import octave_sizes
from shared.params import DreamParams
from tests.benchmarks.engine import plain
from worker.dream.ascent import gradient as gradients
from worker.dream.ascent.gradient import gradient_of
from worker.dream.engine import choose_tile_size, dream

SIDES_PX = (400, 640, 1000)
BARE_S = 0.35  # for each way to compute the bare gradient, in each round
PLAIN_ROUNDS = 3  # it takes half a minute


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
    """Times the engine and the plain reference in turns, and the bare gradient around each."""
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
    for number in range(rounds):
        samples = Samples()
        reports.append(dream(network, photograph.copy(), params, observer=samples)[1])
        engine_s.append(samples.seconds())
        bares.append(bare.round())
        if number < PLAIN_ROUNDS:
            plain_s.append(timed(lambda: plain.dream(photograph.copy(), params, ordinary, network.minimum_px)))
            bares.append(bare.round())
    bare_us = {way: [round_us[way] for round_us in bares] for way in bares[0]}
    best = min(bare_us, key=lambda way: min(bare_us[way]))
    least_s, whole_s = sum(map(min, zip(*engine_s, strict=True))), [sum(samples) for samples in engine_s]
    return {
        "tile_size": params.tile_size,
        "bare_us": {way: min(samples) for way, samples in bare_us.items()},
        "bare_spread": spread(bare_us[best]),
        "plain_us": min(plain_s) / steps_px * 1e6,
        "engine_us": least_s / steps_px * 1e6,
        "engine_spread": spread(whole_s),
        "engine_phases_us": {phase: phase_us(reports, phase, steps_px) for phase in ("network", "blur", "resize")},
        "engine_first_s": first_s,
        "engine_s": min(whole_s),
        "plain_s": min(plain_s),
        "over_bare": least_s / steps_px * 1e6 / min(bare_us[best]),
        "over_plain": median(theirs / ours for theirs, ours in zip(plain_s, whole_s, strict=False)),
        "traces_after_the_first": gradients.traces() - traced,
    }


class Samples:
    """Observes a dream, from its creation on, and notes when each iteration is done."""

    def __init__(self):
        self._times = [time.perf_counter()]

    def tile_done(self, progress):
        pass

    def iteration_done(self, point):
        self._times.append(time.perf_counter())

    def seconds(self):
        """Returns how long each iteration took, from the end of the one before, and what followed the last."""
        return [after - before for before, after in pairwise([*self._times, time.perf_counter()])]


def spread(samples):
    return max(samples) / min(samples) - 1


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
