import json

import pytest

from shared.settings import Settings
from tests.fakes.toy_networks import toy_network
from worker import tile_measurements
from worker.dream.ascent import device
from worker.dream.ascent.tile_speed import EDGES_PX, TileSpeeds
from worker.tile_measurements import FILE, TileMeasurements


@pytest.fixture
def measured(monkeypatch):
    """Replaces the measurement by a counted one; the toy has no entry in the catalog."""
    calls = []

    def measure(run, *, at_once, limit_s, edges):
        calls.append(limit_s)
        return TileSpeeds({edge: 0.1 + edge / 1e5 for edge in edges}, at_once)

    monkeypatch.setattr(tile_measurements, "measure", measure)
    monkeypatch.setattr(tile_measurements, "window_runner", lambda *_: None)
    monkeypatch.setattr(tile_measurements, "gradient_of", lambda *_: None)
    monkeypatch.setattr(device, "cores", lambda: 2)
    device.set_memory_budget(8 * 2**30)
    yield calls
    device.set_memory_budget(None)


def settings(tmp_path, **fields):
    return Settings(model_dir=tmp_path / "models", tile_measurement_s=5, **fields)


def a_network(**fields):
    return toy_network(name="efficientnet-lite0", **fields)


def test_a_network_is_measured_once_per_machine(tmp_path, measured):
    first = TileMeasurements(settings(tmp_path)).of(a_network())
    second = TileMeasurements(settings(tmp_path)).of(a_network())

    assert measured == [5]
    assert list(first.us_per_px) == list(EDGES_PX)
    assert second.us_per_px == pytest.approx(first.us_per_px, abs=1e-4)


def test_another_processor_library_or_number_of_threads_is_measured_again(tmp_path, measured, monkeypatch):
    TileMeasurements(settings(tmp_path)).of(a_network())
    TileMeasurements(settings(tmp_path, tile_threads=1)).of(a_network())
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "AVX")
    TileMeasurements(settings(tmp_path)).of(a_network())
    monkeypatch.setattr(tile_measurements, "_processor", lambda: "another one")
    TileMeasurements(settings(tmp_path)).of(a_network())

    assert len(measured) == 4
    assert len(json.loads((tmp_path / "models" / FILE).read_text())) == 4


def test_more_memory_means_larger_windows_and_a_new_measurement(tmp_path, measured):
    device.set_memory_budget(2 * 2**30)
    little = TileMeasurements(settings(tmp_path)).of(a_network())
    device.set_memory_budget(8 * 2**30)
    plenty = TileMeasurements(settings(tmp_path)).of(a_network())

    assert max(little.us_per_px) < max(plenty.us_per_px)


@pytest.mark.parametrize("content", ["", "[]", "{", '{"x": 1}', "null"])
def test_a_damaged_file_is_replaced(tmp_path, measured, content):
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / FILE).write_text(content)

    assert TileMeasurements(settings(tmp_path)).of(a_network()) is not None
    assert TileMeasurements(settings(tmp_path)).known(a_network()) is not None


def test_a_model_folder_that_is_a_file_is_no_obstacle(tmp_path, measured):
    (tmp_path / "models").write_text("")

    assert TileMeasurements(settings(tmp_path)).of(a_network()) is not None


def test_nothing_is_measured_where_it_is_off_or_on_a_gpu(tmp_path, measured, monkeypatch):
    assert TileMeasurements(Settings(model_dir=tmp_path, tile_measurement_s=0)).of(a_network()) is None
    monkeypatch.setattr(device, "gpu", lambda: "/device:GPU:0")
    assert TileMeasurements(settings(tmp_path)).of(a_network()) is None
    assert measured == []
