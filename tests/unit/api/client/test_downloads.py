import os

import httpx
import pytest

from api.client import Refused
from shared.jobs.job import JobState
from tests.fakes.client import ApplicationTransport
from tests.fakes.clock import FakeClock


def test_download_follows_the_redirect_to_the_storage(client, photo, world, tmp_path):
    # given
    job = client.submit(photo)
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png" * 1000)

    # when
    client.download(job.id, tmp_path / "out.png")

    # then
    assert (tmp_path / "out.png").read_bytes() == b"png" * 1000
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.jpg"]


@pytest.mark.parametrize("name", ["x" * 251 + ".png", "ä" * 125 + ".jpeg", os.fsdecode(b"caf\xe9.png")])
def test_a_download_has_any_name_that_a_file_can_have(client, photo, world, tmp_path, name):
    job = client.submit(photo)
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

    client.download(job.id, tmp_path / name)

    assert (tmp_path / name).read_bytes() == b"png"


def test_a_refused_download_leaves_no_file(client, photo, tmp_path):
    job = client.submit(photo)

    with pytest.raises(Refused, match="no result yet"):
        client.download(job.id, tmp_path / "out.png")
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_an_interrupted_download_resumes(connect, app, world, photo, tmp_path):
    # given storage whose first response breaks off
    content = bytes(range(256)) * 40
    ranges = []

    class Breaking(ApplicationTransport):
        def handle_request(self, request):
            if request.url.scheme != "memory":
                return self.api.handle_request(request)
            ranges.append(request.headers.get("Range"))
            if len(ranges) == 1:

                def half():
                    yield content[:5000]
                    raise httpx.ReadError("broken")

                return httpx.Response(200, content=half(), request=request)
            start = int(ranges[-1].removeprefix("bytes=").rstrip("-"))
            return httpx.Response(206, content=content[start:], request=request)

    with connect("http://localhost", transport=Breaking(app, world), clock=FakeClock()) as client:
        job = client.submit(photo)
        world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")

        # when
        client.download(job.id, tmp_path / "out.png")

    # then
    assert (tmp_path / "out.png").read_bytes() == content
    assert ranges == [None, "bytes=5000-"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.png", "photo.jpg"]


def test_a_download_into_a_folder_gets_the_servers_name_and_overwrites_nothing(client, photo, world, tmp_path):
    # given
    job = client.submit(photo, name="../Miezi \N{SNOWMAN}.jpg")
    world.end(world.claim(), JobState.SUCCEEDED, result_png=b"png")
    folder = tmp_path / "dreams"
    folder.mkdir()

    # when
    saved = [client.download(job.id, folder) for _ in range(2)]

    # then
    assert [path.name for path in saved] == ["Miezi \N{SNOWMAN}-dream.png", "Miezi \N{SNOWMAN}-dream (2).png"]
    assert sorted(folder.iterdir()) == sorted(saved)
