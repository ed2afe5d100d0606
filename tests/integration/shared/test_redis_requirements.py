"""Tests the verdicts of start-up and doctor on real Redis servers that don't meet the requirements."""

from contextlib import suppress

import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from deploy.local.embedded_services import StackState, redis_program, write_private
from deploy.local.process import Child, Component
from shared.errors import StoreUnavailable, UnfitService
from shared.redis.job_store import RedisJobStore
from shared.redis.requirements import unmet
from shared.settings import Settings
from worker.doctor.redis_checks import check_redis

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
        with redis.Redis(port=port, socket_timeout=2, retry=Retry(NoBackoff(), 0)) as client:
            client.ping()
    except (redis.AuthenticationError, redis.ResponseError):
        return True
    except redis.RedisError:
        return False
    return True


def verdict(port, login="", *, path="/0", scheme="redis"):
    settings = Settings(redis_url=f"{scheme}://{login}127.0.0.1:{port}{path}")
    store = RedisJobStore.connect(settings)
    try:
        found = unmet(store.redis)
        if found:
            with pytest.raises(UnfitService, match=found[0].problem[:20]):
                store.check()
        errors = [finding.check for finding in check_redis(settings) if finding.severity == "error"]
        assert errors == [f"redis {problem.requirement}" for problem in found]
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


@pytest.mark.parametrize(
    "rights", ["~* +@all -set", "~* +@all -eval -evalsha", "~other* +@all"], ids=["write", "scripts", "keys"]
)
def test_a_user_that_may_not_change_jobs_is_refused(start, rights):
    port = start("acl", f"user limited on >secret {rights}")
    assert verdict(port, "limited:secret@") == ["permissions"]


def test_a_user_that_lacks_what_only_the_doctor_calls_is_no_crash_of_the_doctor(start):
    port = start("acl", "user limited on >secret ~* +@all -time")
    settings = Settings(redis_url=f"redis://limited:secret@127.0.0.1:{port}/0")
    assert any("'time'" in finding.found for finding in check_redis(settings) if finding.severity == "error")


def test_a_full_server_is_fit_because_it_may_have_room_again(start):
    port = start("full", "maxmemory 1", "maxmemory-policy noeviction")
    RedisJobStore.connect(Settings(redis_url=f"redis://127.0.0.1:{port}/0")).check()


def test_a_database_that_is_not_there_is_refused(start):
    assert verdict(start("plain"), path="/99") == ["database"]


def test_cluster_and_sentinel_are_recognized_with_any_database(start):
    # Valkey 9 clusters may have several databases, by default one.
    assert verdict(start("cluster", "cluster-enabled yes"), path="/1") in (["mode"], ["database"])
    watched = start("watched")
    port = start("sentinel", f"sentinel monitor dreams 127.0.0.1 {watched} 1", flags=["--sentinel"])
    assert verdict(port, path="/1") == ["mode"]


def test_a_server_without_scripts_is_refused(start):
    assert verdict(start("renamed", 'rename-command EVAL ""')) == ["commands"]


@pytest.mark.parametrize(
    ("path", "requirement"),
    [
        ("/dreams/0?sentinel_password=right", []),
        ("/other/0?sentinel_password=right", ["master"]),
        ("/dreams/0?sentinel_password=wrong", ["password"]),
        ("/dreams/0", ["password"]),
    ],
)
def test_what_sentinels_refuse_is_not_waited_for(start, path, requirement):
    monitor = f"sentinel monitor dreams 127.0.0.1 {start('watched')} 1"
    port = start("sentinel", monitor, "requirepass right", flags=["--sentinel"])
    assert verdict(port, path=path, scheme="redis+sentinel") == requirement


def test_a_master_that_is_down_is_waited_for(start):
    gone = PORTS.port("gone")
    lines = (f"sentinel monitor dreams 127.0.0.1 {gone} 1", "sentinel down-after-milliseconds dreams 100")
    port = start("sentinel", *lines, flags=["--sentinel"])
    with pytest.raises(StoreUnavailable):
        RedisJobStore.connect(Settings(redis_url=f"redis+sentinel://127.0.0.1:{port}/dreams/0")).check()


def test_a_master_that_sentinels_still_name_although_it_is_a_replica_is_not_refused(start):
    replica = start("replica", f"replicaof 127.0.0.1 {start('primary')}")
    port = start("sentinel", f"sentinel monitor dreams 127.0.0.1 {replica} 1", flags=["--sentinel"])
    with suppress(StoreUnavailable):  # or, on Redis 6.2, accepted as one that refuses writes for a while
        RedisJobStore.connect(Settings(redis_url=f"redis+sentinel://127.0.0.1:{port}/dreams/0")).check()


def test_a_server_in_place_of_a_sentinel_is_refused(start):
    assert verdict(start("plain"), path="/dreams/0", scheme="redis+sentinel") == ["mode"]


def test_eviction_is_refused(start):
    assert verdict(start("evicting", "maxmemory 100mb", "maxmemory-policy allkeys-lru")) == ["eviction"]


def test_a_server_that_does_not_answer_may_come_back(start):
    with pytest.raises(StoreUnavailable):
        RedisJobStore.connect(Settings(redis_url=f"redis://127.0.0.1:{PORTS.port('nobody')}/0")).check()
