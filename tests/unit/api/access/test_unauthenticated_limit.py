"""Floods of requests without a valid key are refused by address, without calls to Redis or S3."""

import pytest

from api.access.unauthenticated_limit import UnauthenticatedLimit
from shared.errors import TooManyRequests
from shared.settings import Settings
from tests.fakes.clock import FakeClock

LIMIT = 5


@pytest.fixture
def settings():
    return Settings(keys="on", unauthenticated_per_minute=LIMIT)


@pytest.fixture
def ann(world):
    return world.services.keyring.create("ann")[1]


@pytest.fixture
def reads(world, monkeypatch):
    """Returns the keys of the objects that were read from S3."""
    found = []
    get = world.storage.get
    monkeypatch.setattr(world.storage, "get", lambda key: found.append(key) or get(key))
    return found


@pytest.fixture
def ask(http):
    def send(key=None, *, address="192.0.2.7", path="/v1/jobs", **headers):
        if key:
            headers["Authorization"] = f"Bearer {key}"
        return http.get(path, headers=headers, environ_overrides={"REMOTE_ADDR": address})

    return send


def a_wrong_key(number):
    return f"dream_{number:016x}_x"


def test_wrong_keys_are_looked_up_until_the_limit_and_then_refused(ask, reads, world):
    # when
    world.store.available = False
    answers = [ask(a_wrong_key(n)) for n in range(LIMIT + 20)]

    # then
    assert [answer.status_code for answer in answers] == [401] * LIMIT + [429] * 20
    assert len(reads) == LIMIT
    refused = answers[-1]
    assert (refused.json["code"], refused.content_type) == ("too_many_requests", "application/problem+json")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Policy"] == f'"unauthenticated";q={LIMIT};w=60'


def test_a_repeated_wrong_key_is_looked_up_once(ask, reads):
    for _ in range(LIMIT):
        assert ask(a_wrong_key(1)).status_code == 401

    assert len(reads) == 1


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Cookie": "dream_session=forged"}])
def test_requests_without_a_key_count_on_every_path(ask, headers):
    paths = ["/v1/jobs", "/v1/jobs/x", "/v1/jobs/x/events", "/v1/models", "/v1/keys"]

    assert [ask(path=path, **headers).status_code for path in paths] == [401] * LIMIT
    assert ask(path="/v1/jobs/x", **headers).status_code == 429


def test_failed_log_ins_count(http, reads):
    answers = [http.post("/v1/session", json={"key": a_wrong_key(n)}) for n in range(LIMIT + 3)]

    assert [answer.status_code for answer in answers] == [401] * LIMIT + [429] * 3
    assert len(reads) == LIMIT


def test_a_valid_key_keeps_working_during_a_flood_from_its_address(ask, ann, world):
    assert ask(ann).status_code == 200
    for n in range(LIMIT + 1):
        ask(a_wrong_key(n))

    world.clock.sleep(21)  # its cached record is read again

    assert ask(ann).status_code == 200


def test_wrong_keys_do_not_evict_valid_ones_from_the_cache(world, ann, monkeypatch):
    monkeypatch.setattr("shared.api_keys.MAX_CACHED", 10)
    for n in range(30):
        assert world.services.keyring.find(a_wrong_key(n)) is None

    world.storage.available = False

    assert world.services.keyring.find(ann).owner == "ann"


def test_other_addresses_and_the_next_minute_are_served(ask, world):
    for n in range(LIMIT + 1):
        ask(a_wrong_key(n))

    assert ask(a_wrong_key(1), address="192.0.2.8").status_code == 401
    world.clock.sleep(60)
    assert ask(a_wrong_key(1)).status_code == 401


def test_addresses_of_one_ipv6_network_count_together(ask):
    answers = [ask(address=f"2001:db8:0:1::{n:x}") for n in range(LIMIT + 1)]

    assert answers[-1].status_code == 429
    assert ask(address="2001:db8:0:2::1").status_code == 401


def test_memory_is_bounded_and_the_oldest_counter_goes_first():
    # given
    clock = FakeClock()
    limit = UnauthenticatedLimit(clock, per_minute=1, max_networks=2)

    # when
    for address in ("192.0.2.1", "192.0.2.2", "192.0.2.3"):
        limit.count_failure(address)
        clock.sleep(1)

    # then
    limit.check("192.0.2.1")
    for address in ("192.0.2.2", "192.0.2.3"):
        with pytest.raises(TooManyRequests) as caught:
            limit.check(address)
    assert caught.value.usage.resets_s == pytest.approx(59)


class TestBehindAProxy:
    def test_forwarded_addresses_are_ignored_by_default(self, ask):
        answers = [ask(**{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(LIMIT + 1)]

        assert answers[-1].status_code == 429

    class TestThatIsTrusted:
        @pytest.fixture
        def settings(self):
            return Settings(keys="on", unauthenticated_per_minute=LIMIT, trusted_proxies=1)

        def test_the_proxys_entry_counts_and_entries_that_clients_add_do_not(self, ask):
            answers = [ask(**{"X-Forwarded-For": f"10.0.0.{n}, 198.51.100.1"}) for n in range(LIMIT + 1)]

            assert answers[-1].status_code == 429
            assert ask(**{"X-Forwarded-For": "198.51.100.1, 198.51.100.2"}).status_code == 401
