import json

import numpy as np
import pytest

from shared.params import DreamParams, Target
from tests.fakes.toy_networks import photograph
from worker.dream.ascent import gradient
from worker.dream.engine import choose_tile_size, dream
from worker.dream.progress.observer import ResumePoint

AS_IN_2015 = {"normalize": "mean", "detail": "carry", "smooth": False, "color": "free"}


class Notebook:
    """Records progress and copies of the resume points, and stops on request."""

    def __init__(self, *, stop_after_tiles=None):
        self.marks, self.points, self._stop_after_tiles = [], [], stop_after_tiles

    def tile_done(self, mark):
        self.marks.append(mark)
        if self._stop_after_tiles is not None and len(self.marks) > self._stop_after_tiles:
            raise InterruptedError

    def iteration_done(self, point):
        kept = ResumePoint(
            octave=point.octave, iteration=point.iteration, image=point.image.copy(), tile_size=point.tile_size
        )
        self.points.append(kept)


def test_a_dream_stays_within_the_grey_levels_and_keeps_its_size(toy, toy_params):
    image, report = dream(toy, photograph(180, 211), toy_params)

    assert (image.shape, image.dtype) == ((180, 211, 3), np.float32)
    assert image.min() >= 0
    assert image.max() <= 255
    assert report.octave_sizes == ((87, 102), (125, 147), (180, 211))


def test_the_same_dream_again_is_the_same_to_the_byte_with_one_tile_thread_or_several(lite0, lite0_params):
    results = [dream(lite0, photograph(300, 420), lite0_params, threads=threads)[0].tobytes() for threads in (1, 2, 2)]

    assert results[0] == results[1] == results[2]


def test_another_seed_gives_another_dream(toy, toy_params):
    one, _ = dream(toy, photograph(150, 150), toy_params)
    other, _ = dream(toy, photograph(150, 150), toy_params.model_copy(update={"seed": 8}))

    assert np.abs(one - other).max() > 1


@pytest.mark.parametrize("options", [{}, AS_IN_2015], ids=["ours", "as in 2015"])
def test_a_dream_resumed_anywhere_is_the_undisturbed_one(toy, toy_params, options):
    params = toy_params.model_copy(update=options)
    notebook = Notebook()
    undisturbed, _ = dream(toy, photograph(180, 211), params, observer=notebook)

    assert len(notebook.points) == 9
    for point in notebook.points:
        resumed, _ = dream(toy, photograph(180, 211), params, resume=point)
        assert resumed.tobytes() == undisturbed.tobytes()


@pytest.mark.parametrize("options", [{}, AS_IN_2015, {"brightness_lock": True, "strength": 0.5}])
def test_a_dream_stopped_anywhere_resumes_from_the_image_of_its_last_iteration(toy, toy_params, options):
    class Live(Notebook):
        def iteration_done(self, point):
            self.points.append(point)  # without a copy, as an attempt keeps it

    params = toy_params.model_copy(update=options)
    notebook = Notebook()
    undisturbed, _ = dream(toy, photograph(180, 211), params, observer=notebook)

    for stop_after in range(len(notebook.marks)):
        live = Live(stop_after_tiles=stop_after)
        with pytest.raises(InterruptedError):
            dream(toy, photograph(180, 211), params, observer=live)
        for last in live.points[-1:]:
            assert np.array_equal(dream(toy, photograph(180, 211), params, resume=last)[0], undisturbed)


def test_resuming_keeps_the_tile_size_that_the_dream_was_begun_with(toy, toy_params):
    notebook = Notebook()
    dream(toy, photograph(180, 211), toy_params, observer=notebook)

    _, report = dream(
        toy, photograph(180, 211), toy_params.model_copy(update={"tile_size": 512}), resume=notebook.points[4]
    )

    assert report.params.tile_size == 128


def test_progress_grows_evenly_to_its_total(toy, toy_params):
    notebook = Notebook()
    dream(toy, photograph(180, 211), toy_params, observer=notebook)

    done = [mark.done_px for mark in notebook.marks]
    assert done == sorted(done)
    last = notebook.marks[-1]
    assert (last.done_px, last.octaves, last.iterations) == (last.total_px, 3, 3)


@pytest.mark.parametrize("after", [0, 5, 17])
def test_a_watch_that_raises_stops_the_dream_and_the_last_point_stays_whole(toy, toy_params, after):
    notebook = Notebook(stop_after_tiles=after)
    undisturbed, _ = dream(toy, photograph(180, 211), toy_params)

    with pytest.raises(InterruptedError):
        dream(toy, photograph(180, 211), toy_params, observer=notebook)

    resume = notebook.points[-1] if notebook.points else None
    assert dream(toy, photograph(180, 211), toy_params, resume=resume)[0].tobytes() == undisturbed.tobytes()


def test_the_live_image_of_a_stopped_dream_is_that_of_the_last_iteration(toy, toy_params):
    class Holder(Notebook):
        def iteration_done(self, point):
            super().iteration_done(point)
            self.live = point.image

    holder = Holder(stop_after_tiles=20)
    with pytest.raises(InterruptedError):
        dream(toy, photograph(180, 211), toy_params, observer=holder)

    np.testing.assert_array_equal(np.clip(holder.live, 0, 255), np.clip(holder.points[-1].image, 0, 255))


def test_a_small_picture_dreams_in_fewer_octaves_and_says_so(toy, toy_params):
    _, report = dream(toy, photograph(70, 90), toy_params)

    assert report.octave_sizes == ((70, 90),)


def test_one_octave_is_dreamt_in_place(toy, toy_params):
    image = photograph(80, 80)

    result, _ = dream(toy, image, toy_params.model_copy(update={"octaves": 1}))

    assert result is image


def test_a_second_job_traces_nothing(toy, toy_params):
    dream(toy, photograph(150, 150), toy_params)
    before = gradient.traces()

    dream(toy, photograph(140, 199), toy_params.model_copy(update={"seed": 5}))

    assert gradient.traces() == before


def test_the_report_is_json_and_its_recipe_knows_nothing_of_the_attempt(toy, toy_params):
    _, first = dream(toy, photograph(150, 150), toy_params)
    _, second = dream(toy, photograph(150, 150), toy_params)

    assert json.loads(first.to_json())["params"]["tile_size"] == 128
    assert len(first.iterations) == sum(3 for _ in first.octave_sizes)
    assert first.recipe() == second.recipe()
    assert first.timings.network_s > 0


def test_colors_are_kept_or_free(lite0, lite0_params):
    """Checks that color differences hardly change with `keep`, and do with `free`."""
    moved = {}
    for color in ("keep", "free"):
        image = photograph(160, 160)
        result, _ = dream(lite0, image.copy(), lite0_params.model_copy(update={"color": color}))
        moved[color] = np.abs((result - image) - (result - image).mean(axis=-1, keepdims=True)).mean()

    assert moved["keep"] < 0.5 * moved["free"]


def test_the_tile_size_that_was_asked_for_is_taken(toy, toy_params):
    assert choose_tile_size(toy, toy_params, 5000, 5000) == 128


def test_a_chosen_tile_size_is_one_that_params_allow(toy):
    params = DreamParams(model="toy", layers=(Target(layer="layer2"),))
    for height, width in [(64, 64), (960, 1280), (3000, 4000), (10000, 10000)]:
        chosen = choose_tile_size(toy, params, height, width)
        assert 128 <= chosen <= 4096
        assert chosen == choose_tile_size(toy, params, height, width)
