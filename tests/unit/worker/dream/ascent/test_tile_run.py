"""Tiles that other workers compute: the same bytes whoever computes them, and nobody waits for the dead."""

import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import pytest

from shared.errors import NonFiniteGradient
from tests.fakes.toy_networks import photograph
from worker.dream import engine
from worker.dream.ascent.blur import Preparation
from worker.dream.ascent.gradient import gradient_of
from worker.dream.ascent.helpers import CoreGradient
from worker.dream.ascent.tile_run import TileRun, core_gradient
from worker.dream.tiles.tiling import Tile


class ThreadHelpers:
    """Helpers that compute on a thread of this process, `answer` permitting."""

    def __init__(self, gradient, *, at_once=2):
        self._gradient = gradient
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(1)
        self._sent = {}
        self.computed, self.taken_back, self.own = 0, 0, 0

    def answer(self, future, tile, window):
        self.computed += 1
        future.set_result(core_gradient(self._gradient, window.copy(), tile.core_in_window))

    def has_room(self, window_px):
        return sum(not future.done() for future in self._sent) < self._at_once

    def submit(self, tile, window):
        future = Future()
        self._sent[future] = self._pool.submit(lambda: self.answer(future, tile, window()))
        return future

    def is_overdue(self, future):
        return False

    def take_back(self, future):
        back = self._sent[future].cancel()
        self.taken_back += back
        return back

    def abandon(self):
        for sent in self._sent.values():
            sent.cancel()
        self._sent.clear()

    def tile_computed(self, window_px, seconds):
        self.own += 1


def dreamt(network, params, helpers=None):
    result, _ = engine.dream(network, photograph(300, 400), params, helpers=helpers, threads=1)
    return result


def helpers_of(kind, network, params):
    return kind(gradient_of(network, params.layers))


def test_helpers_do_not_change_a_byte(toy, toy_params):
    helpers = helpers_of(ThreadHelpers, toy, toy_params)

    assert np.array_equal(dreamt(toy, toy_params, helpers), dreamt(toy, toy_params))

    assert helpers.computed > 10
    assert helpers.own > 10


def test_a_helper_that_takes_tiles_and_never_answers_costs_no_tile(toy, toy_params):
    class Dead(ThreadHelpers):
        def answer(self, future, tile, window):
            pass

        def take_back(self, future):
            self._sent.pop(future)
            self.taken_back += 1
            return True

    helpers = helpers_of(Dead, toy, toy_params)

    assert np.array_equal(dreamt(toy, toy_params, helpers), dreamt(toy, toy_params))

    assert helpers.taken_back > 0


def test_a_tile_that_a_helper_returns_undone_is_computed_here(toy, toy_params):
    class OutOfMemoryThere(ThreadHelpers):
        def answer(self, future, tile, window):
            self.computed += 1
            future.set_result(None)

    helpers = helpers_of(OutOfMemoryThere, toy, toy_params)

    assert np.array_equal(dreamt(toy, toy_params, helpers), dreamt(toy, toy_params))

    assert helpers.computed > 0


def test_a_gradient_that_is_not_finite_at_a_helper_ends_the_dream(toy, toy_params):
    class Overflowing(ThreadHelpers):
        def answer(self, future, tile, window):
            core = window[tile.core_in_window]
            future.set_result(CoreGradient(core.copy(), float("nan")))

    with pytest.raises(NonFiniteGradient):
        dreamt(toy, toy_params, helpers_of(Overflowing, toy, toy_params))


def test_a_dream_that_is_stopped_leaves_no_window_behind(toy, toy_params):
    class Observer:
        def tile_done(self, progress):
            if progress.octave == 2:
                raise KeyboardInterrupt

        def iteration_done(self, point):
            pass

    helpers = helpers_of(ThreadHelpers, toy, toy_params)
    with pytest.raises(KeyboardInterrupt):
        engine.dream(toy, photograph(300, 400), toy_params, helpers=helpers, observer=Observer(), threads=1)
    assert not helpers._sent


def test_the_last_tile_is_taken_back_from_a_slow_helper(toy, toy_params):
    begun = threading.Event()

    class Slow(ThreadHelpers):
        def answer(self, future, tile, window):
            begun.set()
            time.sleep(0.3)
            super().answer(future, tile, window)

    helpers = helpers_of(Slow, toy, toy_params)

    assert np.array_equal(dreamt(toy, toy_params, helpers), dreamt(toy, toy_params))

    assert begun.is_set()
    assert helpers.taken_back > 0


def test_finished_rows_are_blurred_while_a_helper_computes_the_last_tile():
    blurred = threading.Event()

    class Recorded(Preparation):
        def _run(self, *args):
            super()._run(*args)
            blurred.set()

    class LastTile(ThreadHelpers):
        def answer(self, future, tile, window):
            if tile.core[0][1] == 400:
                assert blurred.wait(60)
            super().answer(future, tile, window)

        def take_back(self, future):
            return False

    image, gradient = photograph(400, 300), np.empty((400, 300, 3), np.float32)
    tiles = [Tile(core=((top, top + 100), (0, 300)), window=((top, top + 100), (0, 300))) for top in range(0, 400, 100)]
    helpers = LastTile(lambda windows: windows)
    preparation = Recorded(gradient, 1.0, over_colors=True, blurs=True)

    found = TileRun(
        tiles,
        image,
        gradient,
        (0, 0),
        compute=lambda windows: windows,
        at_once=1,
        normalized=True,
        helpers=helpers,
        preparation=preparation,
    )

    assert len(list(found)) == 4
    assert helpers.computed > 0


def test_helpers_that_are_found_during_the_first_tile_do_not_wait_for_its_end():
    helped = threading.Event()

    class FoundLate(ThreadHelpers):
        looks = 0

        def has_room(self, window_px):
            self.looks += 1
            return self.looks > 1 and super().has_room(window_px)

        def answer(self, future, tile, window):
            super().answer(future, tile, window)
            helped.set()

    def compute(windows):
        if threading.current_thread().name.startswith("tile"):
            assert helped.wait(60)
        return windows

    image, gradient = photograph(200, 300), np.empty((200, 300, 3), np.float32)
    tiles = [Tile(core=((top, top + 100), (0, 300)), window=((top, top + 100), (0, 300))) for top in (0, 100)]
    helpers = FoundLate(lambda windows: windows)

    found = TileRun(tiles, image, gradient, (0, 0), compute=compute, at_once=1, normalized=True, helpers=helpers)

    assert len(list(found)) == 2
    assert helpers.computed == 1


def test_a_core_that_is_not_finite_has_no_standard_deviation():
    window = np.full((8, 8, 3), np.nan, np.float32)
    found = core_gradient(lambda windows: windows, window, (slice(2, 6), slice(2, 6)))
    assert np.isnan(found.std)
