import io
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import flask_limiter
import limits.storage
import pytest
import redis

from api.app import create_app
from shared.settings import Settings
from tests.fakes.pictures import a_picture


@pytest.fixture
def settings():
    return Settings(
        keys="on", polls_per_minute=3, requests_per_minute=8, submissions_per_minute=4, max_queued=2, max_streams=1
    )


@pytest.fixture
def ann(world):
    return {"Authorization": f"Bearer {world.services.keyring.create('ann')[1]}"}


@pytest.fixture
def bob(world):
    return {"Authorization": f"Bearer {world.services.keyring.create('bob')[1]}"}


def submit(http, headers):
    return http.post("/v1/jobs", data={"image": (io.BytesIO(a_picture()), "a.jpg")}, headers=headers)


def test_polls_are_limited_per_owner_and_report_the_remaining_ones(http, world, ann, bob):
    # given
    address = submit(http, ann).location

    # when
    answers = [http.get(address, headers=ann) for _ in range(4)]

    # then
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit"] for answer in answers] == [
        '"polls";r=2;t=60', '"polls";r=1;t=60', '"polls";r=0;t=60', '"polls";r=0;t=60'
    ]  # fmt: skip
    assert answers[0].headers["RateLimit-Policy"] == '"polls";q=3;w=60'
    assert (answers[3].json["code"], answers[3].headers["Retry-After"]) == ("too_many_requests", "60")
    assert http.get(address, headers=bob).status_code == 404
    world.clock.sleep(60)
    assert http.get(address, headers=ann).status_code == 200


def test_a_not_modified_poll_counts(http, ann):
    first = http.get(submit(http, ann).location, headers=ann)

    second = http.get(first.json["links"]["self"], headers={**ann, "If-None-Match": first.headers["ETag"]})

    assert (second.status_code, second.headers["RateLimit"]) == (304, '"polls";r=1;t=60')


def test_requests_other_than_polls_share_a_limit(http, ann, bob):
    answers = [http.get("/v1/models", headers=ann) for _ in range(9)]

    assert [answer.status_code for answer in answers] == [200] * 8 + [429]
    assert answers[0].headers["RateLimit"].startswith('"requests";r=7;t=')
    assert int(answers[8].headers["Retry-After"]) >= 1
    assert answers[8].content_type == "application/problem+json"
    assert http.get("/v1/models", headers=bob).status_code == 200


def test_submissions_have_their_own_limit(http, ann):
    answers = [http.post("/v1/uploads", headers=ann) for _ in range(5)]

    assert [answer.status_code for answer in answers] == [201] * 4 + [429]
    assert '"submissions"' in answers[4].headers["RateLimit-Policy"]
    assert http.get("/v1/models", headers=ann).status_code == 200


def test_a_full_queue_is_a_429_with_its_own_code(http, ann, bob):
    # given
    for _ in range(2):
        submit(http, ann)

    # when
    refused = submit(http, ann)

    # then
    assert (refused.status_code, refused.json["code"]) == (429, "too_many_queued")
    assert refused.headers["Retry-After"]
    assert submit(http, bob).status_code == 202


def test_jobs_are_accepted_while_redis_is_unavailable(http, world, ann):
    world.store.available = False

    assert submit(http, ann).status_code == 202


def test_redis_may_fail_between_the_count_and_the_response(http, ann, monkeypatch):
    def fail(_):
        raise redis.ConnectionError

    monkeypatch.setattr(flask_limiter.RequestLimit, "window", property(fail))

    answers = [submit(http, ann) for _ in range(5)]

    assert [answer.status_code for answer in answers[:2]] == [202, 202]
    assert answers[4].status_code == 429
    assert "RateLimit" not in answers[0].headers


def test_concurrent_requests_get_503_when_redis_fails_while_they_are_counted(settings, world, monkeypatch):
    # given twenty requests that all ask Redis for their count at the same moment; one learns first that it is gone
    app = create_app(settings, services=replace(world.services, rate_limit_storage=("redis://127.0.0.1:1", {})))
    together, counted_in_memory = threading.Barrier(20), threading.Event()
    count_in_memory = limits.storage.MemoryStorage.incr

    def gone(*_, **__):
        if together.wait(timeout=60) > 0:
            assert counted_in_memory.wait(timeout=60)
        raise redis.ConnectionError

    def count(*args, **kwargs):
        counted_in_memory.set()
        return count_in_memory(*args, **kwargs)

    monkeypatch.setattr(limits.storage.RedisStorage, "incr", gone)
    monkeypatch.setattr(limits.storage.MemoryStorage, "incr", count)
    headers = [{"Authorization": f"Bearer {world.services.keyring.create(f'ann{n}')[1]}"} for n in range(20)]

    # when
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda who: app.test_client().get("/v1/models", headers=who), headers))

    # then that one has switched to counting in memory
    assert Counter(answer.status_code for answer in answers) == {200: 1, 503: 19}
    refused = [answer for answer in answers if answer.status_code == 503]
    assert all(answer.headers["Retry-After"] and answer.json["code"] == "store_unavailable" for answer in refused)
    assert app.test_client().get("/v1/models", headers=headers[0]).status_code == 200


def test_open_streams_are_limited_and_a_closed_one_frees_its_slot(http, ann):
    # given
    address = submit(http, ann).json["links"]["events"]
    held = http.get(address, headers=ann, buffered=False)

    # when
    refused = http.get(address, headers=ann)
    held.close()

    # then
    assert (refused.status_code, refused.json["code"]) == (503, "too_many_streams")
    assert refused.headers["Retry-After"]
    assert http.get(address, headers=ann, buffered=False).status_code == 200


def test_one_owner_leaves_event_streams_for_others(world, ann, bob):
    settings = Settings(keys="on", max_streams=3, max_owner_streams=2)
    http = create_app(settings, services=replace(world.services, settings=settings)).test_client()
    address = submit(http, ann).json["links"]["events"]
    held = [http.get(address, headers=ann, buffered=False) for _ in range(2)]

    assert http.get(address, headers=ann).json["code"] == "too_many_streams"
    assert http.get(submit(http, bob).json["links"]["events"], headers=bob, buffered=False).status_code == 200
    for stream in held:
        stream.close()


def test_health_checks_are_not_limited(http):
    assert {http.get("/healthz").status_code for _ in range(20)} == {200}
