import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count, pairwise, product
from operator import itemgetter

import numpy as np
import pytest

from tests.benchmarks.engine import reference
from worker.dream.ascent import blur


def a_preparation(gradient, sigma=4.1, *, over_colors=True, blurs=True):
    return blur.Preparation(gradient, sigma, over_colors=over_colors, blurs=blurs)


@pytest.mark.parametrize("color", ["keep", "free"])
@pytest.mark.parametrize("shape", [(300, 211, 3), (64, 64, 3), (700, 900, 3), (190, 2200, 3)])
@pytest.mark.parametrize("iteration", [0, 2, 4, 5, 6, 7, 9])
def test_the_blur_is_scipys(shape, color, iteration):
    gradient = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    expected = reference.smooth(gradient.astype(np.float64), iteration, 10, color)

    with ThreadPoolExecutor(2) as pool:
        sigma = blur.sigmas(iteration, 10)[0]
        statistics = a_preparation(gradient, sigma, over_colors=color == "keep").finish(pool, 2)

    np.testing.assert_allclose(gradient, expected, atol=1e-4 if color == "keep" else 2e-6)
    assert statistics.std == pytest.approx(expected.std(), rel=1e-5)
    assert (statistics.minimum, statistics.maximum) == (gradient.min(), gradient.max())


def test_the_blur_does_not_depend_on_its_threads():
    gradient = np.random.default_rng(1).normal(size=(900, 3100, 3)).astype(np.float32)
    results = []
    for threads in (1, 3):
        with ThreadPoolExecutor(threads) as pool:
            blurred = gradient.copy()
            statistics = a_preparation(blurred).finish(pool, threads)
            results.append((blurred.tobytes(), statistics))

    assert results[0] == results[1]


@pytest.mark.parametrize("blurs", [True, False])
@pytest.mark.parametrize("by_columns", [True, False])
@pytest.mark.parametrize("width", [1200, 3100])  # one panel, three
def test_strips_are_the_same_when_other_parts_are_not_there_yet(blurs, by_columns, width):
    gradient = np.random.default_rng(1).normal(size=(900, width, 3)).astype(np.float32)
    whole, growing = gradient.copy(), np.full_like(gradient, np.nan)
    parts = list(product(pairwise(range(0, 901, 50)), pairwise(range(0, width + 1, 100))))
    parts.sort(key=itemgetter(1) if by_columns else itemgetter(0))
    there = np.zeros(gradient.shape[:2], bool)
    early = 0
    with ThreadPoolExecutor(1) as pool:
        expected = a_preparation(whole, blurs=blurs).finish(pool, 1)
        preparation = a_preparation(growing, blurs=blurs)
        for part in parts[:-1]:
            place = tuple(slice(*span) for span in part)
            growing[place], there[place] = gradient[place], True
            while strip := preparation.work(lambda box: there[tuple(slice(*span) for span in box)].all()):
                strip()
                early += 1
        place = tuple(slice(*span) for span in parts[-1])
        growing[place] = gradient[place]

        assert preparation.finish(pool, 1) == expected

    assert early >= 2
    assert whole.tobytes() == growing.tobytes()


def test_no_thread_writes_to_the_gradient_after_a_failure(monkeypatch):
    gradient = np.random.default_rng(1).normal(size=(900, 1200, 3)).astype(np.float32)
    preparation, run, calls = a_preparation(gradient), blur.Preparation._run, count()

    def failing(*args):
        if next(calls) == 0:
            raise MemoryError
        time.sleep(0.05)
        run(*args)

    monkeypatch.setattr(blur.Preparation, "_run", failing)
    with ThreadPoolExecutor(2) as pool:
        with pytest.raises(MemoryError):
            preparation.finish(pool, 2)
        left = gradient.copy()  # before the pool's end
    assert np.array_equal(gradient, left)


def test_a_preparation_can_begin_again():
    gradient = np.random.default_rng(1).normal(size=(900, 70, 3)).astype(np.float32)
    once, again = gradient.copy(), gradient.copy()
    with ThreadPoolExecutor(1) as pool:
        expected = a_preparation(once).finish(pool, 1)
        preparation = a_preparation(again)
        preparation.work(lambda _: True)()
        again[:] = gradient
        preparation.begin()

        assert preparation.finish(pool, 1) == expected

    assert once.tobytes() == again.tobytes()


def test_sigma_grows_with_the_iterations():
    assert blur.sigmas(0, 10) == (0.5, 1.0, 0.25)
    assert blur.sigmas(9, 10)[0] == pytest.approx(4.1)
