"""Computes the results of undisturbed runs, with the same code."""

import io
from collections import Counter
from types import SimpleNamespace

from shared.params import DreamParams
from tests.simulation.engine import SimDreamer, a_photograph
from worker import images
from worker.attempts.attempt import sha256_of


def pictures(seeds) -> dict[int, bytes]:
    return {seed: _picture(seed) for seed in seeds}


def _picture(seed: int) -> bytes:
    still = SimpleNamespace(sleep=lambda _: None, rng=SimpleNamespace(expovariate=lambda _: 0.0))
    observer = SimpleNamespace(tile_done=lambda _: None, iteration_done=lambda _: None)
    dreamer = SimDreamer(still, Counter(), 1.0)
    photograph = io.BytesIO(a_photograph())
    image = images.decode(io.BytesIO(a_photograph()), max_pixels=10_000).image
    params = DreamParams(seed=seed, octaves=2, iterations=3)
    result, report = dreamer.dream(image, params, inputs=None, keep_gradient=None, observer=observer, resume=None)
    file = io.BytesIO()
    recipe = {**report.recipe(), "kind": "dream", "inputs": {"image": sha256_of(photograph)}}
    images.encode(result, file, format="png", recipe=recipe)
    return file.getvalue()
