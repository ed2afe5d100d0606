import pytest

from worker.sharing import pace
from worker.sharing.pace import Pace

PX = 1000


@pytest.fixture
def measured(monkeypatch):
    """A pace with one own tile of a second; the clock stands still."""
    now = [1000.0]
    monkeypatch.setattr(pace.time, "monotonic", lambda: now[0])
    found = Pace()
    found.now = now
    found.tile_computed(PX, 1.0)
    return found


def test_nothing_is_sent_before_it_is_known_how_long_a_tile_takes_here():
    assert not Pace().gains()


def test_what_was_measured_when_the_network_was_loaded_counts_until_a_tile_is_measured(measured):
    fresh = Pace(own=1.0 / PX)
    assert fresh.gains()
    assert fresh.patience_s(PX) == measured.patience_s(PX)

    fresh.tile_computed(PX, 10.0)
    assert fresh.patience_s(PX) == pytest.approx(pace.PATIENCE * 20)


def test_a_tile_is_sent_to_find_out(measured):
    assert measured.gains()


def test_a_cheap_answer_gains(measured):
    measured.answered(PX, cost_s=0.1, latency_s=1.2, turnaround_s=2.0)
    assert measured.gains()


@pytest.mark.parametrize(("cost_s", "latency_s"), [(0.6, 1.2), (0.1, 4.5)])
def test_what_costs_too_much_or_takes_too_long_is_tried_again_only_now_and_then(measured, cost_s, latency_s):
    measured.answered(PX, cost_s=cost_s, latency_s=latency_s, turnaround_s=latency_s)
    assert [measured.gains() for _ in range(3)] == [True, False, False]
    measured.now[0] += pace.PROBE_EVERY_S
    assert [measured.gains() for _ in range(2)] == [True, False]


def test_who_does_not_answer_gets_more_time_and_then_no_more_tiles(measured):
    patience_s = measured.patience_s(PX)
    measured.overdue(PX, patience_s)
    assert measured.patience_s(PX) > patience_s
    assert [measured.gains() for _ in range(3)] == [True, False, False]  # the first one is a probe


def test_an_answer_is_overdue_after_a_few_times_the_usual_time(measured):
    assert measured.patience_s(PX) == pytest.approx(pace.PATIENCE * 2)  # nothing is known but its own tile
    measured.answered(PX, cost_s=0.1, latency_s=1.0, turnaround_s=1.5)
    assert measured.patience_s(PX) == pytest.approx(pace.PATIENCE * 1.5)
    assert measured.patience_s(PX // 1000) == pace.LEAST_PATIENCE_S
