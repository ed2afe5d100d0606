"""Tests the verdicts of start-up and doctor on real Redis servers that don't meet the requirements."""

import pytest
import redis

from deploy.local.embedded_services import StackState, redis_program, write_private
from deploy.local.process import Child, Component
from shared.errors import StoreUnavailable, UnfitService
from shared.redis.job_store import RedisJobStore
from shared.redis.requirements import unmet
from shared.settings import Settings

PORTS = StackState()


@pytest.fixture
def start(tmp_path):
    """Starts a redis-server with these lines of configuration; gives its port."""
    children = []

    def run(name, *lines, flags=()):
        port = PORTS.port(name)
        folder = tmp_path / name
        folder.mkdir()
        write_private(folder / "redis.conf", "\n".join(["bind 127.0.0.1", f"port {port}", 'save ""', *lines]) + "\n")
        part = Component(
            name=name,
            argv=[redis_program(), "redis.conf" if not flags else str(folder / "redis.conf"), *flags],
            cwd=folder,
            ready=lambda _: _accepts(port),
        )
        children.append(Child(part, tmp_path / f"{name}.log"))
        children[-1].wait_until_ready()
        return port

    yield run
    for child in children:
        child.kill()


def _accepts(port):
    try:
        with redis.Redis(port=port, socket_timeout=2) as client:
            client.ping()
    except (redis.AuthenticationError, redis.ResponseError):
        return True
    except redis.RedisError:
        return False
    return True


def verdict(port, login=""):
    store = RedisJobStore.connect(Settings(redis_url=f"redis://{login}127.0.0.1:{port}/0"))
    try:
        found = unmet(store.redis)
        if found:
            with pytest.raises(UnfitService, match=found[0].problem[:20]):
                store.check()
        return [problem.requirement for problem in found]
    finally:
        store.redis.close()


def test_a_plain_server_meets_all(start):
    assert verdict(start("plain")) == []


def test_a_replica_is_refused(start):
    primary = start("primary")
    assert verdict(start("replica", f"replicaof 127.0.0.1 {primary}")) == ["role"]


def test_a_cluster_is_refused(start):
    assert verdict(start("cluster", "cluster-enabled yes")) == ["mode"]


def test_a_sentinel_is_refused_with_the_address_to_use(start):
    primary = start("watched")
    port = start("sentinel", f"sentinel monitor dreams 127.0.0.1 {primary} 1", flags=["--sentinel"])
    assert verdict(port) == ["mode"]


@pytest.mark.parametrize("login", ["", ":wrong@", "nobody:wrong@"])
def test_a_wrong_password_is_refused_at_once(start, login):
    assert verdict(start("locked", "requirepass right"), login) == ["password"]


def test_a_password_where_none_is_set_is_refused(start):
    assert verdict(start("open"), ":needless@") == ["password"]


def test_a_user_without_info_is_refused_with_the_permission(start):
    port = start("acl", "user limited on >secret ~* &* +@all -info")
    assert verdict(port, "limited:secret@") == ["permissions"]


def test_eviction_is_refused(start):
    assert verdict(start("evicting", "maxmemory 100mb", "maxmemory-policy allkeys-lru")) == ["eviction"]


def test_a_server_that_does_not_answer_may_come_back(start):
    with pytest.raises(StoreUnavailable):
        RedisJobStore.connect(Settings(redis_url=f"redis://127.0.0.1:{PORTS.port('nobody')}/0")).check()
