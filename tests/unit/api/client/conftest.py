"""Fixtures: a client of the application with fakes, and its transport."""

import pytest

from api.client import DreamClient
from tests.fakes.client import ApplicationTransport
from tests.fakes.pictures import a_picture


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo.jpg"
    path.write_bytes(a_picture())
    return path


@pytest.fixture
def transport(app, world):
    return ApplicationTransport(app, world)


@pytest.fixture
def client(transport):
    with DreamClient("http://localhost", transport=transport) as client:
        yield client
