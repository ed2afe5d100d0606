"""Randomness as a pure function of (seed, octave, iteration): any iteration can be drawn without those before it."""

import numpy as np


def generator(seed: int, octave: int, iteration: int) -> np.random.Generator:
    """A counter-based generator (Philox, Salmon et al. 2011) of that iteration's own."""
    key = np.array([seed, (octave << 32) | iteration], dtype=np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def shift(random: np.random.Generator, jitter: int, height: int, width: int) -> tuple[int, int]:
    """How far the picture moves under the network, (y, x) pixels; by half of a picture at most."""
    reach_y, reach_x = min(jitter, height // 2), min(jitter, width // 2)
    return (
        int(random.integers(-reach_y, reach_y, endpoint=True)),
        int(random.integers(-reach_x, reach_x, endpoint=True)),
    )
