"""Tests that the order of imports does not change the pixels of a dream."""

import hashlib
import os
import runpy
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import worker.dream
from deploy.local.process import ROOT
from shared.networks import catalog
from shared.params import DreamParams
from worker.dream import ONEDNN
from worker.dream.ascent import device
from worker.dream.engine import dream
from worker.networks import registry

pytestmark = pytest.mark.slow

ALONE = """
from worker.dream import engine# as a worker's process: nothing else comes before it
from tests.unit.worker.dream.test_import_order import fingerprint
print(fingerprint())
"""


def fingerprint() -> str:
    """Returns the hash of the pixels after two steps on each of two octaves of Lite0."""
    from tests.fakes.toy_networks import photograph  # noqa: PLC0415 - it imports TensorFlow

    device.prepare()
    network = registry.load("efficientnet-lite0", Path(os.devnull))
    params = catalog.resolve(DreamParams(octaves=2, iterations=2, tile_size=256))
    pixels, _ = dream(network, photograph(200, 300), params)
    return hashlib.sha256(pixels.tobytes()).hexdigest()


def test_a_process_that_has_imported_all_sorts_of_things_dreams_the_pixels_of_a_fresh_one():
    fresh = subprocess.run([sys.executable, "-c", ALONE], cwd=ROOT, capture_output=True, text=True, check=True)

    assert fingerprint() == fresh.stdout.strip()


@pytest.fixture
def import_again(monkeypatch):
    """Runs worker.dream's own file once more, in a process where TensorFlow has been imported."""
    monkeypatch.setitem(sys.modules, "tensorflow", ModuleType("tensorflow"))
    return lambda: runpy.run_path(worker.dream.__file__)


def test_tensorflow_imported_too_early_is_refused_with_what_to_do(import_again, monkeypatch):
    monkeypatch.delenv(ONEDNN)

    with pytest.raises(ImportError, match=f"Import worker.dream first, or set {ONEDNN}=1"):
        import_again()


@pytest.mark.parametrize("chosen", ["0", "1"])
def test_what_the_environment_says_about_it_stays(import_again, monkeypatch, chosen):
    monkeypatch.setenv(ONEDNN, chosen)

    import_again()

    assert os.environ[ONEDNN] == chosen
