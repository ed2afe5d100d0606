"""Fixtures: both clients of the application with fakes, and their transport."""

import pytest

from api.client import DreamClient
from tests.fakes.client import ApplicationTransport, BlockingClient
from tests.fakes.clock import FakeClock
from tests.fakes.pictures import a_picture


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(a_picture())
    return path


@pytest.fixture
def transport(app, world):
    return ApplicationTransport(app, world)


@pytest.fixture(params=[DreamClient, BlockingClient], ids=["DreamClient", "AsyncDreamClient"])
def connect(request):
    """Makes a client; each test runs with DreamClient and with AsyncDreamClient."""
    return request.param


@pytest.fixture
def client(connect, transport):
    with connect("http://localhost", transport=transport, clock=FakeClock()) as client:
        yield client
