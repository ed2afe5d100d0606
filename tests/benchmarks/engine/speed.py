"""Microseconds per pixel and iteration: the bare gradient, the ordinary way, the engine; all in one process."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from shared.params import DreamParams
from tests.benchmarks.engine import plain
from worker.dream import gradient as gradients
from worker.dream.engine import choose_tile_size, dream
from worker.dream.gradient import gradient_of
from worker.dream.octaves import octave_sizes

SIDES_PX = (400, 640, 1000)


def bare(network, targets, *, rounds):
    """{"400": …, "400 side by side": …}: the best of `rounds`; side by side is one window on each of two threads."""
    compute = gradient_of(network, targets)
    found = {}
    for side in SIDES_PX:
        window = tf.constant(np.random.default_rng(0).random((1, side, side, 3), dtype=np.float32) * 255)

        def once(_, window=window):
            compute(window).numpy()

        with ThreadPoolExecutor(2) as pool:
            list(pool.map(once, range(4)))  # builds the primitives
            found[f"{side}"] = best(lambda once=once: once(0), rounds) / side**2 * 1e6
            found[f"{side} side by side"] = (
                best(lambda once=once: list(pool.map(once, range(2))), rounds) / 2 / side**2 * 1e6
            )
    return found


def dreams(network, params, photograph, *, rounds):
    """Whole dreams, engine and plain in turns so that a busy machine is unfair to neither; both have warmed up."""
    height, width, _ = photograph.shape
    params = params.model_copy(update={"tile_size": choose_tile_size(network, params, height, width)})
    sizes = octave_sizes(
        height, width, octaves=params.octaves, scale=params.octave_scale, minimum_px=network.minimum_px
    )
    steps_px = sum(h * w for h, w in sizes) * params.iterations
    ordinary = plain.compiled(network, params.layers)
    one_iteration = params.model_copy(update={"iterations": 1})
    plain.dream(photograph.copy(), one_iteration, ordinary, network.minimum_px)
    began = time.perf_counter()
    dream(network, photograph.copy(), params)
    first_s = time.perf_counter() - began
    traced = gradients.traces()
    runs = {"engine": [], "plain": []}
    reports = []
    for _ in range(rounds):
        runs["engine"].append(timed(lambda: reports.append(dream(network, photograph.copy(), params)[1])))
        runs["plain"].append(timed(lambda: plain.dream(photograph.copy(), params, ordinary, network.minimum_px)))
    timings = reports[int(np.argmin(runs["engine"]))].timings
    return {
        "tile_size": params.tile_size,
        "engine_us": min(runs["engine"]) / steps_px * 1e6,
        "plain_us": min(runs["plain"]) / steps_px * 1e6,
        "engine_network_us": timings.network_s / steps_px * 1e6,
        "engine_blur_us": timings.blur_s / steps_px * 1e6,
        "engine_resize_us": timings.resize_s / steps_px * 1e6,
        "engine_first_s": first_s,
        "engine_s": min(runs["engine"]),
        "plain_s": min(runs["plain"]),
        "traces_after_the_first": gradients.traces() - traced,
    }


def linear(network, targets, *, sizes, rounds):
    """µs per pixel of one iteration of one octave, by megapixels."""
    found = {}
    for height, width in sizes:
        params = DreamParams(model=network.name, layers=targets, octaves=1, iterations=1, jitter=16)
        params = params.model_copy(update={"tile_size": choose_tile_size(network, params, height, width)})
        image = np.random.default_rng(0).random((height, width, 3), dtype=np.float32) * 255
        dream(network, image, params)  # builds the primitives
        seconds = best(lambda image=image, params=params: dream(network, image, params), rounds)
        found[f"{height * width / 1e6:.0f} MP"] = seconds / (height * width) * 1e6
    return found


def small(network, params):
    """The share of a 320x240 dream that is spent in the network, after the first."""
    image = np.random.default_rng(0).random((240, 320, 3), dtype=np.float32) * 255
    params = params.model_copy(update={"tile_size": 256})
    dream(network, image.copy(), params)
    timings = dream(network, image.copy(), params)[1].timings
    return timings.network_s / timings.total_s


def best(action, rounds):
    return min(timed(action) for _ in range(rounds))


def timed(action):
    began = time.perf_counter()
    action()
    return time.perf_counter() - began
