"""Stores other than the embedded one: moto as it is, and behind a proxy that makes it refuse as other stores do."""

import time

import httpx
import pytest
from boto3.s3.transfer import TransferConfig
from moto.server import ThreadedMotoServer

from shared.errors import StorageUnavailable, UnfitService
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from tests.fakes.s3_proxy import proxy
from worker.doctor.storage_checks import check_storage

pytestmark = pytest.mark.service


@pytest.fixture(scope="module")
def moto():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def store(moto):
    with proxy(moto) as running:
        yield running


def connect(url, **settings):
    given = {"s3_bucket": "dreams", "s3_access_key": "testing", "s3_secret_key": "testing", **settings}
    return S3ObjectStorage.connect(Settings(s3_url=url, **given))


def refusing(status, code, *, method=None, part=""):
    return lambda verb, path, _: (status, code) if verb == method and part in path else None


def test_moto_is_fit_and_does_what_is_asked(moto):
    storage = connect(moto)

    storage.check()
    storage.put("a/1", b"one")
    storage.put("a/2", b"two")
    storage.delete(["a/1", "a/2"])

    assert list(storage.keys("a/")) == []


def test_a_bucket_outside_us_east_1_is_created_in_its_region(moto):
    connect(moto, s3_bucket="elsewhere", s3_region="eu-central-1").check()


def test_deleting_many_carries_the_checksum_that_some_stores_require(store):
    def wants_md5(verb, path, headers):
        return (400, "InvalidRequest") if verb == "POST" and "delete" in path and "content-md5" not in headers else None

    storage = connect(store.url)
    storage.check()
    store.rules.append(wants_md5)
    storage.put("a/1", b"one")

    storage.delete(["a/1"])

    assert storage.get("a/1") is None


def test_a_store_that_cannot_delete_many_is_asked_one_by_one(store):
    storage = connect(store.url)
    storage.check()
    store.rules.append(refusing(501, "NotImplemented", method="POST", part="delete"))
    for name in ("a/1", "a/2"):
        storage.put(name, b"")

    storage.delete(["a/1"])
    storage.delete(["a/2"])

    assert list(storage.keys("a/")) == []
    assert store.asked("POST", "delete") == 2  # once in the check, once more: then it is known


@pytest.mark.parametrize(
    ("code", "sentence"),
    [
        ("InvalidAccessKeyId", "DREAM_S3_ACCESS_KEY"),
        ("SignatureDoesNotMatch", "DREAM_S3_SECRET_KEY"),
        ("RequestTimeTooSkewed", "clock"),
        ("ExpiredToken", "expired"),
        ("AccessDenied", "do not allow using the bucket 'dreams'"),
    ],
)
def test_a_refusal_says_what_is_wrong_although_a_head_has_no_body(store, code, sentence):
    store.rules.append(lambda verb, *_: (403, code) if verb in {"HEAD", "GET"} else None)

    with pytest.raises(UnfitService, match=sentence):
        connect(store.url).check()


def test_an_operation_that_the_store_lacks_is_unfit_not_unavailable(store):
    storage = connect(store.url)
    storage.check()
    store.rules.append(refusing(501, "NotImplemented", method="GET", part="list-type=2"))

    with pytest.raises(UnfitService, match="does not support ListObjectsV2"):
        list(storage.keys("a/"))


def test_a_bucket_that_can_be_listed_is_fit_although_head_is_refused(store):
    connect(store.url).check()
    store.rules.append(refusing(405, "MethodNotAllowed", method="HEAD"))

    connect(store.url).check()


@pytest.mark.parametrize(("status", "code"), [(501, "NotImplemented"), (403, "AccessDenied")])
def test_a_store_that_does_not_list_is_unfit_at_start_up(store, status, code):
    connect(store.url).check()
    store.rules.append(refusing(status, code, method="GET", part="list-type=2"))

    with pytest.raises(UnfitService):
        connect(store.url).check()


def test_a_bucket_that_is_missing_and_may_not_be_created_is_named(store):
    store.rules.append(refusing(403, "AccessDenied", method="PUT"))

    with pytest.raises(UnfitService, match="There is no bucket 'nowhere'"):
        connect(store.url, s3_bucket="nowhere").check()


@pytest.mark.parametrize("status", [301, 302, 307])
def test_a_proxy_that_redirects_is_named(store, status):
    store.rules.append(lambda *_: (status, ""))

    with pytest.raises(UnfitService, match=r"leads elsewhere; correct DREAM_S3_URL"):
        connect(store.url).check()


def test_a_bucket_in_another_region_is_named(store):
    store.rules.append(lambda *_: (301, "PermanentRedirect"))

    with pytest.raises(UnfitService, match="another region; correct DREAM_S3_REGION"):
        connect(store.url).check()


@pytest.mark.parametrize(
    "wrong",
    [
        {"s3_secret_key": None},
        {"s3_region": "eu central"},
        {"s3_bucket": "My Bucket"},
        {"s3_url": "http://"},
    ],
    ids=str,
)
def test_settings_that_boto3_refuses_are_unfit_for_the_doctor_too(moto, wrong):
    settings = Settings(**{"s3_url": moto, "s3_access_key": "testing", "s3_secret_key": "testing", **wrong})

    with pytest.raises(UnfitService, match="DREAM_S3_"):
        S3ObjectStorage.connect(settings).check()
    assert [finding.check for finding in check_storage(settings) if finding.severity == "error"] == ["s3"]


def test_the_doctor_advises_on_the_clock_not_on_the_keys(store):
    store.rules.append(lambda *_: (403, "RequestTimeTooSkewed"))
    settings = Settings(s3_url=store.url, s3_access_key="testing", s3_secret_key="testing")

    (found,) = (finding for finding in check_storage(settings) if finding.check == "s3")

    assert "NTP" in found.found
    assert "DREAM_S3_ACCESS_KEY" not in found.advice


@pytest.mark.parametrize(("status", "code"), [(429, "TooManyRequests"), (400, "RequestTimeout")])
def test_a_store_that_is_busy_is_waited_for(store, status, code):
    store.rules.append(lambda *_: (status, code))

    with pytest.raises(StorageUnavailable, match="can't be reached"):
        connect(store.url).check()


def test_a_store_in_trouble_is_unavailable_not_unfit(store):
    store.rules.append(lambda *_: (503, "SlowDown"))

    with pytest.raises(StorageUnavailable):
        connect(store.url).check()


def test_moto_joins_parts_and_sweeps_them(moto):
    storage = connect(moto)
    storage.check()
    first, last = b"x" * (5 << 20), b"the end"
    upload = storage.begin_parts("big")
    for number, body in ((1, first), (2, last)):
        url = storage.presigned_part("big", upload, number, size_bytes=len(body), expires_s=60)
        assert httpx.put(url, content=body).is_success

    assert storage.complete_parts("big", upload, storage.parts("big", upload))
    forgotten = storage.begin_parts("other")

    assert storage.get("big") == first + last
    assert list(storage.unfinished("", time.time() + 60)) == [("other", forgotten)]
    storage.abort_parts("other", forgotten)
    assert list(storage.unfinished("", time.time() + 60)) == []


def test_a_store_without_uploads_by_parts_is_named_and_still_serves(store):
    storage = connect(store.url)
    storage.check()
    store.rules.append(refusing(501, "NotImplemented", method="POST", part="uploads"))

    with pytest.raises(UnfitService, match="does not support CreateMultipartUpload"):
        storage.begin_parts("big")


def test_keys_that_do_not_allow_uploads_by_parts_are_named(store):
    storage = connect(store.url)
    storage.check()
    store.rules.append(refusing(403, "AccessDenied", method="GET", part="uploads"))
    store.rules.append(refusing(403, "AccessDenied", method="POST", part="uploads"))

    with pytest.raises(UnfitService, match="do not allow CreateMultipartUpload"):
        storage.begin_parts("big")
    with pytest.raises(UnfitService, match="do not allow ListMultipartUploads"):
        list(storage.unfinished("", 0))


def test_a_store_that_cannot_copy_in_parts_copies_at_once(store, monkeypatch):
    monkeypatch.setattr("shared.s3.object_storage.COPY_PART_BYTES", 5 << 20)
    monkeypatch.setattr(
        "shared.s3.object_storage.IN_PARTS", TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    )
    storage = connect(store.url)
    storage.check()
    storage.put("big", b"x" * (6 << 20))
    store.rules.append(refusing(501, "NotImplemented", method="PUT", part="partNumber"))

    assert storage.copy("big", "one")
    assert storage.copy("big", "two")

    assert storage.size("two") == 6 << 20
    assert store.asked("PUT", "partNumber=1") == 1  # then it is known
