"""Fixtures: the `dream` command on the application with fakes."""

import pytest

from api.cli import main
from shared.interfaces import WorkerInfo
from tests.fakes.client import ServerWithWorker
from tests.fakes.pictures import a_picture


def register(world, **about):
    worker = {"name": "w", "models": (), "device": "cpu", "job_id": None, "seen_at": 0} | about
    world.store.register_worker(WorkerInfo(**worker), ttl_s=1e9)


@pytest.fixture
def server(app, world):
    register(world, models=("efficientnet-lite0",))
    return ServerWithWorker(app, world)


@pytest.fixture
def dream(server, tmp_path, monkeypatch, capsys):
    """Runs the command in an empty folder; returns its exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.delenv("DREAM_URL", raising=False)
    (tmp_path / "photo.jpg").write_bytes(a_picture())

    def run(*arguments, url="http://localhost"):
        code = main.run([*(["--server", url] if url else []), *arguments], transport=server)
        output = capsys.readouterr()
        return code, output.out, output.err

    return run
