"""Tests the time left with a simulated clock and octaves whose pixels cost differently."""

import json
from itertools import pairwise

import pytest

from tests.fakes.clock import FakeClock
from worker.attempts.time_left import FILE, WORKLOADS_KEPT, OctaveTimes, TimeLeft
from worker.dream.progress.observer import EngineProgress

SIZES = (72_000, 147_000, 300_000, 612_000, 1_250_000)
ITERATIONS, TILES = 10, 4
COSTS = (4e-6, 2.2e-6, 1.2e-6, 1.0e-6, 1.3e-6)  # seconds per pixel-step: uneven, and not falling all the way


def reports(sizes=SIZES, windows_px=(), first_octave=0):
    """Yields what the engine reports: after every tile, and the octave in which the time before it was spent."""
    total = sum(sizes) * ITERATIONS
    done = sum(sizes[:first_octave]) * ITERATIONS
    for octave in range(first_octave, len(sizes)):
        for iteration in range(ITERATIONS):
            for tile in range(TILES + 1):
                yield EngineProgress(
                    octave=octave,
                    octaves=len(sizes),
                    iteration=iteration,
                    iterations=ITERATIONS,
                    done_px=done + sizes[octave] * tile // TILES,
                    total_px=total,
                    octave_px=sizes,
                    windows_px=windows_px,
                    tile_size=512,
                )
            done += sizes[octave]


def dream(times, costs, *, workload="lite0", sizes=SIZES, windows_px=(), first_octave=0):
    """Runs a simulated dream. Returns (fraction, seconds really left, estimate) of each report."""
    clock, before, seen = FakeClock(), None, []
    following = TimeLeft(clock, times, workload)
    began = clock.monotonic()
    for progress in reports(sizes, windows_px, first_octave):
        moved = 0 if before is None else progress.done_px - before
        before = progress.done_px
        clock.time += moved * costs[progress.octave]
        following.observe(progress)
        seen.append((progress.done_px / progress.total_px, clock.monotonic(), following.estimate()))
    end = clock.monotonic()
    assert end > began
    return [(fraction, end - at, estimate) for fraction, at, estimate in seen]


def after_a_tenth(seen):
    """Returns the reports after the first tenth, without the last moments, where an error of a second is large."""
    end_s = seen[0][1]
    return [(left, estimate) for fraction, left, estimate in seen if fraction >= 0.1 and left > 0.02 * end_s]


def worst(seen):
    return max(abs(estimate.seconds / left - 1) for left, estimate in after_a_tenth(seen))


def test_after_a_tenth_the_time_left_is_within_15_percent():
    times = OctaveTimes()
    dream(times, COSTS)

    seen = dream(times, COSTS)

    assert worst(seen) < 0.15
    assert all(estimate.low <= left <= estimate.high for left, estimate in after_a_tenth(seen))


@pytest.mark.parametrize("pace", [0.6, 1.7])
def test_a_machine_that_is_faster_or_slower_than_before_is_noticed_within_the_first_tenth(pace):
    times = OctaveTimes()
    dream(times, [100 * cost for cost in COSTS])

    assert worst(dream(times, [100 * pace * cost for cost in COSTS])) < 0.15


def test_a_resumed_dream_is_estimated_like_a_whole_one():
    times = OctaveTimes()
    dream(times, COSTS)

    assert worst(dream(times, COSTS, first_octave=3)) < 0.15


def test_the_first_dream_of_its_kind_compares_octaves_by_the_pixels_of_their_windows():
    windows_px = tuple(int(px * share) for px, share in zip(SIZES, (1.0, 1.18, 1.18, 1.14, 1.5), strict=True))
    costs = [1e-6 * windows / px for windows, px in zip(windows_px, SIZES, strict=True)]

    assert worst(dream(OctaveTimes(), costs, windows_px=windows_px)) < 0.15


def test_before_a_tenth_there_is_a_range_and_it_holds_the_truth():
    times = OctaveTimes()
    first = dream(times, COSTS)
    second = dream(times, COSTS)

    for seen in (first, second):
        early = [(left, estimate) for fraction, left, estimate in seen if fraction < 0.1 and estimate]
        assert all(estimate.low <= left <= estimate.high for left, estimate in early)
    assert first[0][2] is None
    assert second[0][2] is not None
    assert second[0][2].high / second[0][2].low < first[TILES][2].high / first[TILES][2].low


def test_the_estimate_of_a_known_kind_does_not_jump_from_octave_to_octave():
    times = OctaveTimes()
    dream(times, COSTS)

    ends = [estimate.seconds - left for _, left, estimate in dream(times, COSTS)]

    assert max(abs(a - b) for a, b in pairwise(ends)) < 0.02 * dream(times, COSTS)[0][1]


def test_an_octave_that_was_not_run_whole_is_not_recorded():
    times = OctaveTimes()
    clock = FakeClock()
    following = TimeLeft(clock, times, "lite0")
    for progress in list(reports())[TILES * 3 : (TILES + 1) * ITERATIONS + 2]:
        clock.time += 1
        following.observe(progress)

    assert times.expected("lite0, tiles of 512", SIZES[0]) is None


def test_workloads_and_sizes_are_told_apart():
    times = OctaveTimes()
    times.record("a", 1_000_000, 1e-6)

    assert times.expected("a", 1_200_000) == 1e-6
    assert times.expected("a", 3_000_000) is None
    assert times.expected("b", 1_000_000) is None


def kept_in(folder):
    times = OctaveTimes()
    times.keep_in(folder)
    return times


def test_times_are_kept_on_disk_with_those_of_other_workers(tmp_path):
    one, other = kept_in(tmp_path / "new"), kept_in(tmp_path / "new")
    one.record("a", 1000, 1e-6)
    one.save()
    other.record("b", 1000, 2e-6)
    other.save()

    again = kept_in(tmp_path / "new")

    assert (again.expected("a", 1000), again.expected("b", 1000)) == (1e-6, 2e-6)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"a": 1}', '{"a": {"x": 1}}', "null"])
def test_a_damaged_file_is_as_good_as_none(tmp_path, content):
    path = tmp_path / FILE
    path.write_text(content)
    times = kept_in(tmp_path)
    times.record("a", 1000, 1e-6)
    times.save()

    assert json.loads(path.read_text()) == {"a": {"1000": 1e-6}}


def test_a_folder_that_can_not_be_written_is_no_obstacle(tmp_path):
    (tmp_path / "file").write_text("")
    times = kept_in(tmp_path / "file")
    times.record("a", 1000, 1e-6)
    times.save()

    assert times.expected("a", 1000) == 1e-6


def test_only_the_latest_workloads_are_kept():
    times = OctaveTimes()
    for workload in range(WORKLOADS_KEPT + 5):
        times.record(str(workload), 1000, 1e-6)

    assert times.expected("4", 1000) is None
    assert times.expected("5", 1000) == 1e-6
