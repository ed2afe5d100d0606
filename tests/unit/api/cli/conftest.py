"""Fixtures: the `dream` command on the application with fakes."""

import pytest

from api.cli import main
from shared.jobs import JobState
from tests.fakes.client import ApplicationTransport
from tests.fakes.pictures import a_picture


class Server(ApplicationTransport):
    """The application, with a worker that ends every queued job as soon as it is polled."""

    def __init__(self, app, world) -> None:
        super().__init__(app, world)
        self.ends_as = JobState.SUCCEEDED
        self.output = "result_png"

    def handle_request(self, request):
        if request.method == "GET" and request.url.path.startswith("/v1/jobs/") and self.ends_as:
            waiting = [job for job in self.world.store.jobs.values() if job.state is JobState.QUEUED]
            if waiting:
                self.world.end(self.world.claim(), self.ends_as, **{self.output: b"png"})
        return super().handle_request(request)


@pytest.fixture
def server(app, world):
    return Server(app, world)


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
