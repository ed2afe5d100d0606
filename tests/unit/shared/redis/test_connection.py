import kombu
import pytest
from kombu.transport.redis import _parse_url
from limits._storage_scheme import parse_storage_uri
from pydantic import ValidationError

from shared import settings
from shared.celery_app import make_app
from shared.errors import InvalidSettings, UnfitService
from shared.redis.address import SentinelAddress, describe
from shared.redis.connection import connect, rate_limit_storage
from shared.settings import Settings
from worker.doctor.redis_checks import check_redis

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


@pytest.mark.parametrize("url", ["redis://host/0?db=x", "redis://host/0?nonsense=1", "rediss://host?ssl_cert_reqs=no"])
def test_an_option_that_the_client_does_not_know_is_unfit_for_the_doctor_too(url):
    settings = Settings(redis_url=url)

    with pytest.raises(UnfitService, match="DREAM_REDIS_URL"):
        connect(settings)
    (found,) = check_redis(settings)
    assert found.severity == "error"


@pytest.mark.parametrize("variable", ["redis_url", "s3_url", "public_url"])
@pytest.mark.parametrize("port", ["abc", "99999"])
def test_a_wrong_port_is_refused_as_a_setting(variable, port):
    scheme = "redis" if variable == "redis_url" else "http"
    with pytest.raises(ValidationError, match=r"[Pp]ort"):
        Settings(**{variable: f"{scheme}://host:{port}"})


@pytest.mark.parametrize("option", ["ssl_ca_certs=ca.pem", "sentinel_pasword=other"])
def test_an_option_that_would_be_ignored_is_refused(option):
    with pytest.raises(ValueError, match=option.partition("=")[0]):
        SentinelAddress.parse(f"redis+sentinel://one/dreams/0?{option}")


@pytest.mark.parametrize("url", [URL, "redis://:p%40ss@host:6380/0"])
def test_a_description_holds_no_password(url):
    assert "p%40ss" not in describe(url)
    assert "other" not in describe(url)


def test_rate_limits_count_on_the_same_master():
    uri, options = rate_limit_storage(Settings(redis_url=URL))

    assert uri == "redis+sentinel://one:26379,two:26380,[::1]:26381/dreams"
    assert (options["db"], options["password"], options["sentinel_kwargs"]["password"]) == (3, "p@ss", "other")
    assert options["use_replicas"] is False
    assert parse_storage_uri(uri).locations == [("one", 26379), ("two", 26380), ("::1", 26381)]


def test_celery_takes_the_address_whatever_its_password_holds():
    url = "redis+sentinel://:a%2Fb%3Bc%23%40@one,[::1]/dreams/3"
    broker = kombu.Connection(SentinelAddress.parse(url).broker_url())

    assert (broker.hostname, broker.port, broker.password) == ("one", 26379, "a/b;c#@")
    assert broker.virtual_host == "3"
    assert [_parse_url(other).hostname for other in broker.alt] == ["one", "::1"]


def test_a_sentinel_that_does_not_answer_is_passed_over_after_one_time_limit():
    settings = Settings(redis_url=URL, redis_timeout_s=0.5)
    celery = make_app(settings).conf.broker_transport_options["sentinel_kwargs"]
    limits = rate_limit_storage(settings)[1]["sentinel_kwargs"]
    store = connect(settings).connection_pool.sentinel_manager.sentinel_kwargs

    for options in (celery, limits, store):
        assert options["socket_connect_timeout"] == options["socket_timeout"] == 0.5
        assert options["retry"].get_retries() == 0
        assert options["password"] == "other"


def test_a_wrong_address_is_refused_as_a_setting(monkeypatch):
    monkeypatch.setenv("DREAM_REDIS_URL", "redis+sentinel://one:26379")
    settings.load.cache_clear()
    with pytest.raises(InvalidSettings, match="DREAM_REDIS_URL"):
        settings.load()
    settings.load.cache_clear()
