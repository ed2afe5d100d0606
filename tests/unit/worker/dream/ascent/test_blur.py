from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.benchmarks.engine import reference
from worker.dream.ascent import blur


def a_preparation(gradient, sigma=4.1, *, over_colors=True, blurs=True, threads=2):
    return blur.Preparation(gradient, sigma, over_colors=over_colors, blurs=blurs, threads=threads)


@pytest.mark.parametrize("color", ["keep", "free"])
@pytest.mark.parametrize("shape", [(300, 211, 3), (64, 64, 3), (700, 900, 3)])
@pytest.mark.parametrize("iteration", [0, 2, 4, 5, 6, 7, 9])
def test_the_blur_is_scipys(shape, color, iteration):
    gradient = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = reference.smooth(gradient.astype(np.float64), iteration, 10, color)

    with ThreadPoolExecutor(2) as pool:
        sigma = blur.sigmas(iteration, 10)[0]
        statistics = a_preparation(gradient, sigma, over_colors=color == "keep").finish(pool)

    np.testing.assert_allclose(gradient, expected, atol=1e-4 if color == "keep" else 2e-6)
    assert statistics.std == pytest.approx(expected.std(), rel=1e-5)
    assert (statistics.minimum, statistics.maximum) == (gradient.min(), gradient.max())


def test_the_blur_does_not_depend_on_its_threads():
    gradient = np.random.default_rng(1).normal(size=(900, 70, 3)).astype(np.float32)
    results = []
    for threads in (1, 3):
        with ThreadPoolExecutor(threads) as pool:
            blurred = gradient.copy()
            statistics = a_preparation(blurred, threads=threads).finish(pool)
            results.append((blurred.tobytes(), statistics))

    assert results[0] == results[1]


@pytest.mark.parametrize("blurs", [True, False])
@pytest.mark.parametrize("threads", [1, 3])
def test_strips_are_the_same_when_the_rows_below_are_not_there_yet(blurs, threads):
    gradient = np.random.default_rng(1).normal(size=(900, 1200, 3)).astype(np.float32)
    whole, growing = gradient.copy(), np.full_like(gradient, np.nan)
    early = 0
    with ThreadPoolExecutor(1) as pool:
        expected = a_preparation(whole, blurs=blurs).finish(pool)
        preparation = a_preparation(growing, blurs=blurs, threads=threads)
        for complete in range(0, 901, 50):
            growing[complete - 50 : complete] = gradient[complete - 50 : complete]
            while complete < 900 and (strip := preparation.work(complete)):
                strip()
                early += 1

        assert preparation.finish(pool) == expected

    assert early >= 2
    assert whole.tobytes() == growing.tobytes()


def test_a_preparation_can_begin_again():
    gradient = np.random.default_rng(1).normal(size=(900, 70, 3)).astype(np.float32)
    once, again = gradient.copy(), gradient.copy()
    with ThreadPoolExecutor(1) as pool:
        expected = a_preparation(once).finish(pool)
        preparation = a_preparation(again)
        preparation.work(900)()
        again[:] = gradient
        preparation.begin()

        assert preparation.finish(pool) == expected

    assert once.tobytes() == again.tobytes()


def test_sigma_grows_with_the_iterations():
    assert blur.sigmas(0, 10) == (0.5, 1.0, 0.25)
    assert blur.sigmas(9, 10)[0] == pytest.approx(4.1)
