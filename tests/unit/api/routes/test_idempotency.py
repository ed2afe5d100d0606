import io

import pytest

from tests.fakes.pictures import a_picture


@pytest.fixture
def submit_again(http):
    def send(key, picture=None, **fields):
        image = (io.BytesIO(picture or a_picture()), "photo.jpg")
        return http.post("/v1/jobs", data={"image": image, **fields}, headers={"Idempotency-Key": key})

    return send


def test_a_repeated_idempotency_key_returns_the_first_job(submit_again, world):
    # when
    first, second = submit_again("k1"), submit_again("k1")

    # then
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json["id"] == second.json["id"]
    assert (first.headers["Idempotency-Replayed"], second.headers["Idempotency-Replayed"]) == ("false", "true")
    assert len(world.store.jobs) == 1
    assert submit_again("k2").json["id"] != first.json["id"]


def test_an_idempotency_key_with_another_body_is_refused(submit_again):
    submit_again("k1")

    for change in ({"params": '{"octaves": 2}'}, {"priority": "low"}, {"picture": a_picture(width=100)}):
        answer = submit_again("k1", **change)
        assert (answer.status_code, answer.json["code"]) == (422, "idempotency_key_reused")


def test_the_idempotency_key_of_a_refused_request_can_be_reused(submit_again):
    assert submit_again("k1", picture=b"hello").status_code == 415
    assert submit_again("k1").status_code == 202


def test_an_idempotency_key_in_flight_is_a_409_until_its_process_is_presumed_dead(submit_again, world):
    # given a process that dies between reserving the key and writing the job
    accept = type(world.submissions)._accept
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(world.submissions), "_accept", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            submit_again("k1")
    assert type(world.submissions)._accept is accept

    # when
    early = submit_again("k1")
    world.clock.sleep(61)
    late = submit_again("k1")

    # then
    assert (early.status_code, early.json["code"]) == (409, "idempotency_key_in_flight")
    assert early.headers["Retry-After"]
    assert late.status_code == 202
    assert submit_again("k1").json["id"] == late.json["id"]


def test_an_idempotency_key_survives_a_wiped_redis(submit_again, world):
    first = submit_again("k1")
    world.store.wipe()

    assert submit_again("k1").json["id"] == first.json["id"]


def test_the_idempotency_key_of_a_deleted_job_is_a_409(submit_again, http):
    http.delete(submit_again("k1").location)

    answer = submit_again("k1")
    assert (answer.status_code, answer.json["code"]) == (409, "wrong_state")


@pytest.mark.parametrize(
    ("key", "quoted"), [("k1", '"k1"'), ("k1", ' "k1" '), ("k1", " k1 "), ('a"b', '"a\\"b"'), ("a\\b", '"a\\\\b"')]
)
def test_a_quoted_idempotency_key_is_the_same_one(submit_again, key, quoted):
    assert submit_again(key).json["id"] == submit_again(quoted).json["id"]


@pytest.mark.parametrize("key", ["", '""', "x" * 256])
def test_an_invalid_idempotency_key_is_refused(submit_again, key):
    assert submit_again(key).json["path"] == "Idempotency-Key"
