"""Runs the Python in the README and in docs/USAGE.md."""

import functools
import re

import pytest

import api.client
from api.client import AsyncDreamClient, DreamClient
from deploy.local.process import ROOT
from tests.fakes.client import AsyncTransport, ServerWithWorker
from tests.fakes.pictures import a_picture

PAGES = ["README.md", "docs/USAGE.md"]
BLOCKS = [block for page in PAGES for block in re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(), re.DOTALL)]


@pytest.fixture
def folder(app, world, tmp_path, monkeypatch):
    """A folder with photographs, where the clients reach the application with fakes."""
    server = ServerWithWorker(app, world)
    asynchronous = functools.partial(AsyncDreamClient, transport=AsyncTransport(server))
    monkeypatch.setattr(api.client, "DreamClient", functools.partial(DreamClient, transport=server))
    monkeypatch.setattr(api.client, "AsyncDreamClient", asynchronous)
    monkeypatch.chdir(tmp_path)
    for name in ("cat.jpg", "dog.jpg", "sky.png"):
        (tmp_path / name).write_bytes(a_picture())
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("block", BLOCKS, ids=range(len(BLOCKS)))
def test_the_documented_python_runs_and_saves_pictures(folder, block):
    before = len(list(folder.iterdir()))

    exec(compile(block.replace("PORT", "8080"), "documentation", "exec"), {})

    assert len(list(folder.iterdir())) > before


def test_both_clients_are_documented():
    assert len(BLOCKS) == 3
    assert "AsyncDreamClient" in "".join(BLOCKS)
