"""Fixtures: the API under its production server, on a real Redis and a real S3."""

import socket
from collections.abc import Iterator

import pytest

from deploy.local import components
from deploy.local.process import Child


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture(scope="session")
def live(services, tmp_path_factory) -> Iterator[str]:
    """The address of a running API with high rate limits."""
    env = {
        **components.environment(services.settings),
        "DREAM_STREAM_LIMIT_S": "3600",
        "DREAM_POLLS_PER_MINUTE": "1000000",
        "DREAM_REQUESTS_PER_MINUTE": "1000000",
        "DREAM_SUBMISSIONS_PER_MINUTE": "1000000",
    }
    port = a_free_port()
    api = Child(components.api(port, env), tmp_path_factory.mktemp("api") / "api.log")
    try:
        api.wait_until_ready()
        yield f"http://127.0.0.1:{port}"
    finally:
        api.stop()
