from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.benchmarks.engine import reference
from worker.dream.ascent import blur


@pytest.mark.parametrize("color", ["keep", "free"])
@pytest.mark.parametrize("shape", [(300, 211, 3), (64, 64, 3), (700, 900, 3)])
@pytest.mark.parametrize("iteration", [0, 5, 9])
def test_the_blur_is_scipys(shape, color, iteration):
    gradient = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = reference.smooth(gradient.astype(np.float64), iteration, 10, color)

    with ThreadPoolExecutor(2) as pool:
        sigma = blur.sigmas(iteration, 10)[0]
        statistics = blur.smooth(gradient, sigma, pool, 2, over_colors=color == "keep")

    np.testing.assert_allclose(gradient, expected, atol=2e-6)
    assert statistics.std == pytest.approx(expected.std(), rel=1e-5)
    assert (statistics.minimum, statistics.maximum) == (gradient.min(), gradient.max())


def test_the_blur_does_not_depend_on_its_threads():
    gradient = np.random.default_rng(1).normal(size=(900, 70, 3)).astype(np.float32)
    results = []
    for threads in (1, 3):
        with ThreadPoolExecutor(threads) as pool:
            blurred = gradient.copy()
            statistics = blur.smooth(blurred, 4.1, pool, threads, over_colors=True)
            results.append((blurred.tobytes(), statistics))

    assert results[0] == results[1]


def test_sigma_grows_with_the_iterations():
    assert blur.sigmas(0, 10) == (0.5, 1.0, 0.25)
    assert blur.sigmas(9, 10)[0] == pytest.approx(4.1)
