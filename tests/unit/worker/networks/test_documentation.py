"""Runs docs/networks.md from the frozen graph to the dream."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from deploy.local.process import ROOT
from tests.fakes.pictures import a_picture

pytestmark = pytest.mark.slow

PAGE = (ROOT / "docs" / "networks.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(a_picture())
    (tmp_path / "params.json").write_text(*blocks("json"))
    return tmp_path


def test_a_network_of_ones_own_is_made_described_and_dreamed_with_as_documented(folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}

    subprocess.run([sys.executable, "-c", *blocks("python")], cwd=folder, env=environment, check=True)
    subprocess.run(["sh", "-ec", *blocks("sh")], cwd=folder, env=environment, check=True)

    layers = re.findall(r"^(\S+):\d+/\d+$", (folder / "catalog.toml").read_text(), re.MULTILINE)
    assert json.loads(*blocks("json"))["layers"][0]["layer"] in layers
    assert "centered" not in layers
    with Image.open(folder / "dream.png") as dream, Image.open(folder / "photo.jpg") as photo:
        assert dream.size == photo.size
        assert dream.convert("RGB").tobytes() != photo.convert("RGB").tobytes()
