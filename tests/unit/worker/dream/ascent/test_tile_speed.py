import pytest

from worker.dream.ascent import device
from worker.dream.ascent.gradient import gradient_of
from worker.dream.ascent.memory import COMFORTABLE, HALOS_PER_TILE, bytes_for_tiles, tile_size_for
from worker.dream.ascent.tile_speed import EDGES_PX, TURNS, TileSpeeds, measure, window_runner
from worker.dream.tiles.tiling import Axis, Layout

FLAT = TileSpeeds(dict.fromkeys(EDGES_PX, 0.2), 2)
SMALL_IS_FASTER = TileSpeeds({512: 0.1, 896: 0.2, 1536: 0.4}, 2)


class Machine:
    """Simulates the time of windows: `us` per pixel, times the factors in the order of the calls.

    load: how much longer it takes by the clock, because others use the processor too.
    """

    def __init__(self, us, factors=(), load=1):
        self.now, self.worked, self.calls, self._load = 0.0, 0.0, [], load
        self._us, self._factors = us, list(factors)

    def run(self, edge):
        factor = self._factors[len(self.calls)] if len(self.calls) < len(self._factors) else 1
        took_s = 2 * edge**2 * self._us[edge] / 1e6 * factor
        self.worked += took_s
        self.now += took_s * (self._load if edge == 896 else 1)
        self.calls.append(edge)

    def measure(self, limit_s=60.0):
        return measure(self.run, at_once=2, limit_s=limit_s, clock=lambda: self.now, processor=lambda: self.worked)


def test_sizes_take_turns_and_the_least_time_counts_but_for_the_first_turn():
    machine = Machine({512: 0.3, 896: 0.2, 1536: 0.25}, factors=[0.5, 0.5, 0.5, 3, 1, 2, 1, 2, 1])

    speeds = machine.measure()

    assert machine.calls == list(EDGES_PX) * TURNS
    assert speeds.us_per_px == pytest.approx({512: 0.3, 896: 0.2, 1536: 0.25})


def test_other_programs_on_the_machine_do_not_count():
    quiet, busy = (Machine(dict.fromkeys(EDGES_PX, 0.3), load=load).measure() for load in (1, 5))

    assert busy.us_per_px == pytest.approx(quiet.us_per_px)


def test_a_slow_machine_measures_fewer_turns_and_keeps_the_limit():
    machine = Machine(dict.fromkeys(EDGES_PX, 1.0))

    speeds = machine.measure(limit_s=14.0)

    assert machine.now <= 14.0
    assert machine.calls == list(EDGES_PX) * 2
    assert speeds.us_per_px == pytest.approx(dict.fromkeys(EDGES_PX, 1.0))


def test_without_time_for_a_second_turn_there_is_no_result():
    assert Machine(dict.fromkeys(EDGES_PX, 1.0)).measure(limit_s=8.0) is None


@pytest.fixture
def plenty(monkeypatch):
    monkeypatch.setattr(device, "cores", lambda: 2)
    device.set_memory_budget(24 * 2**30)
    yield
    device.set_memory_budget(None)


@pytest.mark.parametrize("size", [(1500, 2000), (3000, 4000), (4000, 6000)])
def test_where_all_sizes_are_equally_fast_halos_decide_and_tiles_are_large(lite0, plenty, size):
    assert tile_size_for(lite0, *size, halo=48, stride=16, speeds=FLAT) > 1024


def test_where_small_windows_are_faster_tiles_are_smaller(lite0, plenty):
    small = tile_size_for(lite0, 3000, 4000, halo=16, stride=16, speeds=SMALL_IS_FASTER)

    assert small < tile_size_for(lite0, 3000, 4000, halo=16, stride=16, speeds=FLAT)
    assert small >= COMFORTABLE


def test_a_deep_layers_halo_outweighs_what_small_windows_gain(lite0, plenty):
    mildly = TileSpeeds({512: 0.19, 896: 0.2, 1536: 0.21}, 2)

    assert tile_size_for(lite0, 3000, 4000, halo=136, stride=32, speeds=mildly) >= HALOS_PER_TILE * 136


def test_measured_tiles_still_fit_memory(lite0, plenty):
    device.set_memory_budget(int(2.5 * 2**30))

    edge = tile_size_for(lite0, 3000, 4000, halo=48, stride=16, speeds=FLAT)

    assert 2 * edge**2 * lite0.gradient_bytes_per_px <= bytes_for_tiles(3000, 4000)


def test_a_core_without_a_window_counts(plenty):
    even, odd = (FLAT.seconds(a_plan(count)) / count for count in (4, 3))

    assert odd > even


def a_plan(count):
    return Layout(Axis(512, 512, (0,) * count, ()), Axis(512, 512, (0,), ()))


def test_windows_of_the_real_network_are_measured(toy, toy_params):
    run = window_runner(gradient_of(toy, toy_params.layers), device.pool(2), 2)

    speeds = measure(run, at_once=2, limit_s=600, edges=(96, 128))

    assert list(speeds.us_per_px) == [96, 128]
    assert min(speeds.us_per_px.values()) > 0
