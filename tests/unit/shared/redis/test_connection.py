import pytest

from shared import settings
from shared.errors import InvalidSettings
from shared.redis.address import SentinelAddress, describe
from shared.redis.connection import rate_limit_storage
from shared.settings import Settings

URL = "redis+sentinel://user:p%40ss@one:26379,two:26380,[::1]:26381/dreams/3?sentinel_password=other"


def test_an_address_of_sentinels_is_parsed_whole():
    address = SentinelAddress.parse(URL)

    assert address.sentinels == (("one", 26379), ("two", 26380), ("::1", 26381))
    assert (address.master, address.database) == ("dreams", 3)
    assert (address.username, address.password, address.sentinel_password) == ("user", "p@ss", "other")


def test_port_and_database_have_defaults():
    address = SentinelAddress.parse("redis+sentinel://one/dreams")

    assert (address.sentinels, address.database, address.password) == ((("one", 26379),), 0, None)


@pytest.mark.parametrize("url", ["redis://127.0.0.1:6379/0", "rediss://:secret@redis.example/1"])
def test_an_address_of_a_single_server_has_no_sentinels(url):
    assert SentinelAddress.parse(url) is None


@pytest.mark.parametrize(
    "url", ["redis+sentinel://one:26379", "redis+sentinel:///dreams", "redis+sentinel://one/dreams/x"]
)
def test_an_incomplete_address_is_refused_with_the_form_that_it_needs(url):
    with pytest.raises(ValueError, match="redis\\+sentinel://host:26379,host:26379/name/0"):
        SentinelAddress.parse(url)


@pytest.mark.parametrize("url", [URL, "redis://:p%40ss@host:6380/0"])
def test_a_description_holds_no_password(url):
    assert "p%40ss" not in describe(url)
    assert "other" not in describe(url)


def test_rate_limits_count_on_the_same_master():
    uri, options = rate_limit_storage(Settings(redis_url=URL))

    assert uri == "redis+sentinel://one:26379,two:26380,::1:26381/dreams"
    assert (options["db"], options["password"], options["sentinel_kwargs"]["password"]) == (3, "p@ss", "other")
    assert options["use_replicas"] is False


def test_a_wrong_address_is_refused_as_a_setting(monkeypatch):
    monkeypatch.setenv("DREAM_REDIS_URL", "redis+sentinel://one:26379")
    settings.load.cache_clear()
    with pytest.raises(InvalidSettings, match="DREAM_REDIS_URL"):
        settings.load()
    settings.load.cache_clear()
