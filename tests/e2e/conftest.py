"""Fixtures: a client of the stack, and a photograph small enough for a job of one second."""

import pytest
from PIL import Image

from api.client import DreamClient


@pytest.fixture(scope="session")
def photograph(tmp_path_factory):
    """A 200 x 150 crop of scikit-image's cat."""
    import skimage.data  # noqa: PLC0415 - takes half a second

    path = tmp_path_factory.mktemp("photograph") / "chelsea.png"
    Image.fromarray(skimage.data.chelsea()).crop((100, 50, 300, 200)).save(path)
    return path


@pytest.fixture
def client(stack):
    with DreamClient(stack.api_url) as client:
        yield client
