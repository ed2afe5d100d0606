"""Tests which networks a worker offers, keeps in memory and fetches."""

import pytest

from shared.errors import ModelCorrupt, ModelUnavailable
from shared.networks import catalog
from shared.params import DreamParams, Target
from shared.settings import Settings
from tests.fakes.toy_networks import toy_network
from worker import model_fetcher
from worker.attempts.tensorflow_dreamer import TensorFlowDreamer
from worker.dream.ascent import device
from worker.dream.ascent.tile_speed import TileSpeeds
from worker.dream.engine import choose_tile_size
from worker.networks import registry
from worker.tile_measurements import TileMeasurements

SIZES = {"small": 10, "medium": 20, "large": 30}


@pytest.fixture(autouse=True)
def networks(monkeypatch):
    """Provides three small networks of known sizes."""
    lite = catalog.MODELS["efficientnet-lite0"]
    fakes = {name: lite.model_copy(update={"name": name, "size_bytes": size}) for name, size in SIZES.items()}
    monkeypatch.setattr(catalog, "MODELS", fakes)
    loaded, here = [], set(fakes)

    def load(name, _):
        loaded.append(name)
        if name not in here:
            raise ModelCorrupt
        return object()

    monkeypatch.setattr(registry, "load", load)
    monkeypatch.setattr(registry, "is_ready", lambda name, _: name in here)
    return loaded, here


def test_the_least_recently_used_network_makes_room(networks):
    loaded, _ = networks
    dreamer = TensorFlowDreamer(Settings(model_memory_bytes=45))
    for name in ("small", "medium", "small", "large", "small", "medium"):
        dreamer.load(name)
    assert loaded == ["small", "medium", "large", "medium"]


def test_a_network_larger_than_the_budget_is_kept_alone(networks):
    loaded, _ = networks
    dreamer = TensorFlowDreamer(Settings(model_memory_bytes=5))
    for name in ("small", "small", "large", "small"):
        dreamer.load(name)
    assert loaded == ["small", "large", "small"]


def test_an_unloaded_network_is_still_offered():
    dreamer = TensorFlowDreamer(Settings(model_memory_bytes=5))
    dreamer.load("small")
    dreamer.load("large")
    assert set(dreamer.models()) == set(SIZES)


def test_only_networks_whose_weights_are_here_are_offered(networks):
    _, here = networks
    here.discard("medium")
    assert TensorFlowDreamer(Settings()).models() == ("small", "large")
    assert TensorFlowDreamer(Settings(models=("medium", "large"))).models() == ("large",)


def test_a_corrupt_network_is_no_longer_offered(networks, monkeypatch):
    _, here = networks
    dreamer = TensorFlowDreamer(Settings())
    monkeypatch.setattr(registry, "is_ready", lambda name, _: True)
    here.discard("large")
    with pytest.raises(ModelCorrupt):
        dreamer.load("large")
    assert dreamer.models() == ("small", "medium")


def test_the_first_network_is_loaded_before_the_first_job(networks):
    loaded, here = networks
    here.discard("small")
    TensorFlowDreamer(Settings()).preload()
    assert loaded == ["medium"]


def test_missing_weights_are_fetched_if_allowed_and_not_retried_at_once_after_a_failure(networks, monkeypatch):
    _, here = networks
    here.clear()
    asked = []

    def fetch(model, settings, *, on_bytes):
        asked.append(model.name)
        if model.name == "large":
            raise ModelUnavailable
        here.add(model.name)

    monkeypatch.setattr(model_fetcher, "fetch", fetch)
    TensorFlowDreamer(Settings()).fetch(["small"])
    assert asked == []

    dreamer = TensorFlowDreamer(Settings(fetch_models=True, models=("small", "large")))
    dreamer.fetch(["small", "medium", "large", "unheard-of"])
    dreamer.fetch(["small", "large"])
    assert asked == ["large", "small"]
    assert dreamer.models() == ("small",)


def test_a_shared_dream_knows_from_the_start_how_long_a_tile_takes_here(networks, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(registry, "load", lambda *_: toy_network())
    monkeypatch.setattr(TileMeasurements, "of", lambda *_: TileSpeeds({512: 0.1, 1024: 0.3}, 2))
    dreamer = TensorFlowDreamer(Settings(model_dir=tmp_path), lambda *_, **fields: asked.append(fields))
    dreamer.load("small")

    dreamer.share(None, DreamParams(model="small", layers=(Target(layer="layer0"),), tile_size=768), None)

    assert asked[0]["own_s_per_px"] == pytest.approx(0.2e-6)


def test_a_job_gets_the_tiles_that_were_measured_at_its_networks_first_use(networks, monkeypatch, tmp_path):
    network, measured = toy_network(), []
    speeds = TileSpeeds({512: 0.1, 896: 0.3, 1536: 0.5}, 2)
    monkeypatch.setattr(registry, "load", lambda *_: network)
    monkeypatch.setattr(TileMeasurements, "of", lambda _, used: measured.append(used) or speeds)
    monkeypatch.setattr(device, "cores", lambda: 2)
    dreamer = TensorFlowDreamer(Settings(model_dir=tmp_path, memory=8 * 2**30))
    params = DreamParams(model="small", layers=(Target(layer="layer0"),))
    for _ in range(2):
        dreamer.load("small")

    chosen = dreamer.choose_tile_size(params, 3000, 4000)

    assert measured == [network]
    assert chosen == choose_tile_size(network, params, 3000, 4000, speeds)
    assert chosen != choose_tile_size(network, params, 3000, 4000)
    assert dreamer.choose_tile_size(params.model_copy(update={"tile_size": 640}), 3000, 4000) == 640
