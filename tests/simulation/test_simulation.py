"""Some seeds of the simulation; `make simulate SEEDS=10000` runs as many as you like."""

import subprocess
import sys

import pytest

from deploy.local.process import ROOT

pytestmark = pytest.mark.slow


def test_no_seed_breaks_a_promise():
    run = subprocess.run(
        [sys.executable, "-m", "tests.simulation", "--seeds", "40"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
