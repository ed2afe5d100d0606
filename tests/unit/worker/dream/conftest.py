import os
from pathlib import Path

import pytest

from shared.networks import catalog
from shared.params import DreamParams, Target
from tests.fakes.toy_networks import toy_network
from worker.dream.ascent import device
from worker.networks import registry


@pytest.fixture(scope="session", autouse=True)
def threads_like_a_worker():
    device.prepare()


@pytest.fixture(scope="session")
def toy():
    return toy_network()


@pytest.fixture(scope="session")
def lite0():
    return registry.load("efficientnet-lite0", Path(os.devnull))


@pytest.fixture
def toy_params():
    """Returns resolved parameters, as the runner passes them."""
    return DreamParams(
        model="toy", layers=(Target(layer="layer2"),), octaves=3, iterations=3, jitter=8, tile_size=128, seed=7
    )


@pytest.fixture
def lite0_params():
    return catalog.resolve(DreamParams(octaves=2, iterations=3, tile_size=256))
