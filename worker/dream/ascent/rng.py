"""Draws random numbers as a pure function of (seed, octave, iteration), so an iteration does not need earlier draws."""

import numpy as np


def generator(seed: int, octave: int, iteration: int) -> np.random.Generator:
    """Returns a counter-based generator (Philox, Salmon et al. 2011) for that iteration alone."""
    key = np.array([seed, (octave << 32) | iteration], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def shift(random: np.random.Generator, jitter: int, height: int, width: int) -> tuple[int, int]:
    """Returns how far the image moves under the network's grid, (y, x) pixels; at most half of the image."""
    reach_y, reach_x = min(jitter, height // 2), min(jitter, width // 2)
    return (
        int(random.integers(-reach_y, reach_y, endpoint=True)),
        int(random.integers(-reach_x, reach_x, endpoint=True)),
    )
