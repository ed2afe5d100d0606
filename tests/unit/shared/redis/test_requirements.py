import pytest

from shared.redis.requirements import unmet

FIT = {"redis_version": "7.4.1", "maxmemory_policy": "noeviction", "role": "master", "redis_mode": "standalone"}


class Server:
    def __init__(self, **info):
        self._info = FIT | info

    def info(self):
        return self._info

    def eval(self, *_):
        pass


def test_a_fit_server_lacks_nothing():
    assert unmet(Server()) == []


@pytest.mark.parametrize(
    ("info", "requirement"),
    [
        ({"redis_version": "6.0.16"}, "version"),
        ({"maxmemory_policy": "allkeys-lru"}, "eviction"),
        ({"redis_mode": "cluster"}, "mode"),
        ({"role": "slave"}, "role"),
    ],
)
def test_what_a_server_lacks_comes_with_a_remedy(info, requirement):
    (found,) = unmet(Server(**info))

    assert found.requirement == requirement
    assert found.remedy
