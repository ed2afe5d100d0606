"""A flood of requests without a valid key is refused by address, and costs neither Redis nor S3 anything."""

import pytest

from shared.settings import Settings

LIMIT = 5


@pytest.fixture
def settings():
    return Settings(keys="on", unauthenticated_per_minute=LIMIT)


@pytest.fixture
def ann(world):
    return world.services.keyring.create("ann")[1]


@pytest.fixture
def reads(world, monkeypatch):
    """The keys of what was read from S3."""
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


def a_guess(number):
    return f"dream_{number:016x}_x"


def test_made_up_keys_are_looked_up_a_few_times_and_then_no_more(ask, reads, world):
    # when
    world.store.available = False
    answers = [ask(a_guess(n)) for n in range(LIMIT + 20)]

    # then
    assert [answer.status_code for answer in answers] == [401] * LIMIT + [429] * 20
    assert len(reads) == LIMIT
    refused = answers[-1]
    assert (refused.json["code"], refused.content_type) == ("too_many_requests", "application/problem+json")
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.headers["RateLimit-Policy"] == f'"unauthenticated";q={LIMIT};w=60'


def test_the_same_wrong_key_is_looked_up_once(ask, reads):
    for _ in range(LIMIT):
        assert ask(a_guess(1)).status_code == 401

    assert len(reads) == 1


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Basic YTpi"}, {"Cookie": "dream_session=forged"}])
def test_no_key_at_all_counts_too_on_every_address_of_the_service(ask, headers):
    paths = ["/v1/jobs", "/v1/jobs/x", "/v1/jobs/x/events", "/v1/models", "/v1/keys"]

    assert [ask(path=path, **headers).status_code for path in paths] == [401] * LIMIT
    assert ask(path="/v1/jobs/x", **headers).status_code == 429


def test_logging_in_with_guesses_counts_too(http, reads):
    answers = [http.post("/v1/session", json={"key": a_guess(n)}) for n in range(LIMIT + 3)]

    assert [answer.status_code for answer in answers] == [401] * LIMIT + [429] * 3
    assert len(reads) == LIMIT


def test_a_known_key_goes_on_working_beside_a_flood_from_its_own_address(ask, ann, world):
    assert ask(ann).status_code == 200
    for n in range(LIMIT + 1):
        ask(a_guess(n))

    world.clock.sleep(21)  # so that its record is read again

    assert ask(ann).status_code == 200


def test_guesses_drive_no_known_key_out_of_memory(world, ann, monkeypatch):
    monkeypatch.setattr("shared.api_keys.MAX_CACHED", 10)
    for n in range(30):
        assert world.services.keyring.find(a_guess(n)) is None

    world.storage.available = False

    assert world.services.keyring.find(ann).owner == "ann"


def test_other_addresses_and_the_next_minute_are_not_refused(ask, world):
    for n in range(LIMIT + 1):
        ask(a_guess(n))

    assert ask(a_guess(1), address="192.0.2.8").status_code == 401
    world.clock.sleep(60)
    assert ask(a_guess(1)).status_code == 401


def test_one_ipv6_network_is_one_address(ask):
    answers = [ask(address=f"2001:db8:0:1::{n:x}") for n in range(LIMIT + 1)]

    assert answers[-1].status_code == 429
    assert ask(address="2001:db8:0:2::1").status_code == 401


class TestBehindAProxy:
    def test_without_being_told_so_nobody_is_believed_to_be_someone_else(self, ask):
        answers = [ask(**{"X-Forwarded-For": f"198.51.100.{n}"}) for n in range(LIMIT + 1)]

        assert answers[-1].status_code == 429

    class TestThatIsKnown:
        @pytest.fixture
        def settings(self):
            return Settings(keys="on", unauthenticated_per_minute=LIMIT, trusted_proxies=1)

        def test_its_word_is_taken_and_what_callers_add_is_not(self, ask):
            answers = [ask(**{"X-Forwarded-For": f"10.0.0.{n}, 198.51.100.1"}) for n in range(LIMIT + 1)]

            assert answers[-1].status_code == 429
            assert ask(**{"X-Forwarded-For": "198.51.100.1, 198.51.100.2"}).status_code == 401
