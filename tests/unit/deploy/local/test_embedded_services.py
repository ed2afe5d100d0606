"""Tests the ports and credentials of the embedded stack."""

import socket
import stat

import pytest

from deploy.local import embedded_services
from deploy.local.embedded_services import (
    GRPC_OFFSET,
    PORTS,
    MissingProgram,
    StackState,
    embedded_redis,
    embedded_s3,
    is_free,
)
from shared.settings import Settings


@pytest.fixture
def taken():
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        holder.listen()
        yield holder.getsockname()[1]


def test_credentials_and_ports_survive_a_restart_and_are_readable_by_their_owner_alone(tmp_path):
    path = tmp_path / "state.json"
    state = StackState()
    port = state.port("api")
    state.save(path)

    again = StackState.load(path)

    assert again == state
    assert again.port("api") == port
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_port_that_another_program_has_taken_is_replaced(taken):
    state = StackState(ports={"api": taken})

    assert state.port("api") != taken


def test_a_port_is_free_only_if_its_grpc_port_is_free(taken):
    assert not is_free(taken)
    assert not is_free(taken - GRPC_OFFSET)


def test_every_component_gets_its_own_port():
    state = StackState()

    ports = {state.port(str(n)) for n in range(50)}

    assert len(ports) == 50
    assert ports <= set(PORTS)


def test_secrets_are_not_on_command_lines(tmp_path):
    state = StackState()

    redis, settings = embedded_redis(tmp_path / "redis", state, Settings())
    s3, settings = embedded_s3(tmp_path / "s3", state, settings)

    words = " ".join([*redis.argv, *s3.argv])
    for secret in (state.redis_password, state.s3_access_key, state.s3_secret_key):
        assert secret not in words
    assert stat.S_IMODE((tmp_path / "redis" / "redis.conf").stat().st_mode) == 0o600


def test_a_missing_program_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(embedded_services.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(MissingProgram, match="redis-server"):
        embedded_redis(tmp_path / "redis", StackState(), Settings())
