import subprocess

import pytest

from api.schemas.network_views import ModelList, ModelView, PresetList, PresetView
from deploy.local import demo
from shared.interfaces import WeightsFetch
from shared.jobs.fleet import Fleet
from shared.networks import catalog
from shared.networks.presets import in_order
from tests.fakes.clock import FakeClock

LITE0, GOOGLENET = "efficientnet-lite0", "googlenet"
BEFORE = Fleet(workers=1, served=frozenset({LITE0}), fetchable=frozenset({GOOGLENET}))
AFTER = Fleet(workers=1, served=frozenset({LITE0, GOOGLENET}))
FAILED = Fleet(
    workers=1,
    served=frozenset({LITE0}),
    fetchable=frozenset({GOOGLENET}),
    fetches=(WeightsFetch(model=GOOGLENET, error="The server is closed."),),
)


class Server:
    """Plays the API: the fleet is another one once a fetch has been requested."""

    def __init__(self, then):
        self.fleet, self.then = BEFORE, then

    def models(self):
        return ModelList(models=tuple(ModelView.of(model, self.fleet) for model in catalog.MODELS.values()))

    def presets(self):
        return PresetList(presets=tuple(PresetView.of(preset, self.fleet) for preset in in_order(self.fleet.served)))

    def fetch_model(self, name):
        requested = ModelView.of(catalog.MODELS[name], self.fleet)
        self.fleet = self.then
        return requested


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(demo, "SystemClock", FakeClock)


def test_the_default_network_dreams_its_first_look_at_once():
    assert demo._params(Server(BEFORE), LITE0)["model"] == LITE0


def test_another_network_is_fetched_first_and_dreams_its_first_look():
    params = demo._params(Server(AFTER), GOOGLENET)

    assert params == next(preset.params for preset in in_order(AFTER.served) if preset.params["model"] == GOOGLENET)


@pytest.mark.parametrize(
    ("network", "message"), [(GOOGLENET, "The server is closed.*WEIGHTS"), ("googlnet", "There is no network")]
)
def test_a_network_that_can_not_be_had_ends_the_demo_with_a_sentence(network, message):
    with pytest.raises(demo.DemoFailed, match=message):
        demo._params(Server(FAILED), network)


@pytest.mark.parametrize("named", [None, "elsewhere"])
def test_weights_are_installed_where_the_workers_look_for_them(monkeypatch, tmp_path, named):
    monkeypatch.setattr(demo, "HOME", tmp_path)
    monkeypatch.setenv("DREAM_MODEL_DIR", named) if named else monkeypatch.delenv("DREAM_MODEL_DIR", raising=False)
    environments = []
    ran = subprocess.CompletedProcess([], 0)
    monkeypatch.setattr(demo.subprocess, "run", lambda command, env, check: environments.append(env) or ran)

    demo._install(GOOGLENET, "weights.caffemodel", "")

    assert environments[0]["DREAM_MODEL_DIR"] == (named or str(tmp_path / "models"))
