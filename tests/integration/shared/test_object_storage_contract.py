"""The contract of ObjectStorage, tested on the in-memory fake and on a real S3."""

import io
import secrets
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest
from boto3.s3.transfer import TransferConfig

from shared.clock import SystemClock
from shared.errors import StorageUnavailable, UnfitService
from shared.s3 import object_storage
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from tests.fakes.object_storage import MemoryObjectStorage


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.service)])
def storage(request):
    return (
        MemoryObjectStorage(SystemClock())
        if request.param == "memory"
        else S3ObjectStorage.connect(request.getfixturevalue("settings"))
    )


@pytest.fixture
def s3(settings):
    return S3ObjectStorage.connect(settings)


def test_what_is_put_comes_back(storage):
    assert storage.put("a/b", b"text", content_type="text/plain")
    assert storage.put("a/b", b"newer")
    assert storage.get("a/b") == b"newer"
    assert storage.size("a/b") == 5


def test_a_file_is_put_from_where_it_stands_and_downloaded_in_pieces(storage):
    content = secrets.token_bytes(3_000_000)
    assert storage.put("big", io.BytesIO(content))
    into = io.BytesIO()
    assert storage.download("big", into)
    assert into.getvalue() == content


def test_an_object_too_large_for_one_request_is_sent_in_parts(s3, monkeypatch):
    monkeypatch.setattr(object_storage, "LARGEST_PUT_BYTES", 1_000_000)
    monkeypatch.setattr(
        object_storage, "SENT_IN_PARTS", TransferConfig(1, multipart_chunksize=5 << 20, use_threads=False)
    )
    content = secrets.token_bytes(12_000_000)
    file = io.BytesIO(content)

    assert s3.put("huge", file, content_type="image/png")

    assert s3.get("huge") == content
    assert not file.closed
    assert not list(s3.unfinished("huge", time.time() + 60))


def test_what_is_not_there_is_none_or_false(storage):
    assert storage.get("none") is None
    assert storage.size("none") is None
    assert not storage.download("none", io.BytesIO())
    assert not storage.copy("none", "other")
    storage.delete(["none"])


def test_if_absent_writes_once(storage):
    assert storage.put("once", b"first", if_absent=True)
    assert not storage.put("once", b"second", if_absent=True)
    assert storage.get("once") == b"first"


def test_keys_and_folders_come_in_order(storage):
    for key in ("jobs/b/x", "jobs/a/y/z", "jobs/a/x", "pending/a"):
        storage.put(key, b"x")
    assert list(storage.keys("jobs/")) == ["jobs/a/x", "jobs/a/y/z", "jobs/b/x"]
    assert list(storage.folders("jobs/")) == ["a", "b"]
    assert list(storage.keys("nothing/")) == []


def test_what_is_old_is_told_from_what_is_new(storage):
    for key in ("uploads/ann/a", "uploads/bob/b", "jobs/c"):
        storage.put(key, b"x")
    now = time.time()
    assert list(storage.keys_before("uploads/", now - 60)) == []
    assert list(storage.keys_before("uploads/", now + 60)) == ["uploads/ann/a", "uploads/bob/b"]


def test_copy_and_delete(storage):
    storage.put("one", b"1")
    assert storage.copy("one", "two")
    storage.delete(iter(["one"]))
    assert (storage.get("one"), storage.get("two")) == (None, b"1")


def test_a_part_of_an_object_is_read(storage):
    storage.put("letters", b"abcdefgh")
    assert storage.read("letters", 2, 3) == b"cde"
    assert storage.read("letters", 6, 10) == b"gh"
    assert storage.read("none", 0, 1) is None


def put_part(storage, key, upload, number, body):
    url = storage.presigned_part(key, upload, number, size_bytes=len(body), expires_s=60)
    if isinstance(storage, MemoryObjectStorage):
        storage.put_part(url, body)
    else:
        assert httpx.put(url, content=body).status_code == 200


def test_parts_become_one_object_when_they_are_complete(storage):
    first, last = secrets.token_bytes(5 << 20), b"the end"
    upload = storage.begin_parts("big")
    assert storage.parts("big", upload) == []
    put_part(storage, "big", upload, 2, last)
    for _ in range(2):  # sent again, as after a lost response
        put_part(storage, "big", upload, 1, first)
    parts = storage.parts("big", upload)
    assert [(part.number, part.size_bytes) for part in parts] == [(1, len(first)), (2, len(last))]
    assert storage.get("big") is None

    assert storage.complete_parts("big", upload, parts)

    assert storage.get("big") == first + last
    assert storage.parts("big", upload) is None
    assert list(storage.unfinished("", time.time() + 60)) == []


def test_an_aborted_upload_leaves_nothing(storage):
    upload = storage.begin_parts("big")
    put_part(storage, "big", upload, 1, b"x")

    storage.abort_parts("big", upload)
    storage.abort_parts("big", upload)

    assert storage.parts("big", upload) is None
    assert storage.get("big") is None


def test_unfinished_uploads_are_found_by_prefix_and_age(storage):
    uploads = {key: storage.begin_parts(key) for key in ("uploads/ann/a", "uploads/bob/b", "jobs/c/input")}

    assert list(storage.unfinished("uploads/", time.time() - 60)) == []
    found = dict(storage.unfinished("uploads/", time.time() + 60))
    assert found == {key: upload for key, upload in uploads.items() if key.startswith("uploads/")}


def test_of_many_writers_at_once_exactly_one_is_first(s3):
    with ThreadPoolExecutor(16) as pool:
        won = list(pool.map(lambda n: s3.put("race", str(n).encode(), if_absent=True), range(16)))
    assert won.count(True) == 1
    assert s3.get("race") == str(won.index(True)).encode()


def test_a_presigned_address_serves_the_object_as_a_download(s3):
    s3.put("picture", b"pixels", content_type="image/png")
    answer = httpx.get(s3.presigned_get("picture", expires_s=60, filename="dream.png"))
    assert answer.content == b"pixels"
    assert answer.headers["content-disposition"] == 'attachment; filename="dream.png"'
    answer = httpx.get(s3.presigned_get("picture", expires_s=60, filename="Katze „große“.png"))
    assert "filename*=UTF-8''Katze%20%E2%80%9Egro%C3%9Fe%E2%80%9C.png" in answer.headers["content-disposition"]
    assert answer.headers["content-type"] == "image/png"


def test_a_presigned_form_takes_files_up_to_its_limit(s3):
    def upload(key, content):
        form = s3.presigned_post(key, expires_s=60, max_bytes=10)
        return httpx.post(form.url, data=dict(form.fields), files={"file": content}).is_success

    assert upload("small", b"x" * 10)
    assert s3.get("small") == b"x" * 10
    assert not upload("large", b"x" * 11)
    assert s3.get("large") is None


def test_a_part_of_another_size_than_signed_is_refused(s3):
    upload = s3.begin_parts("big")
    url = s3.presigned_part("big", upload, 1, size_bytes=100, expires_s=60)
    assert httpx.put(url, content=b"x" * 101).status_code == 403
    assert httpx.put(url, content=b"x" * 99).status_code == 403
    assert s3.parts("big", upload) == []


def test_a_browser_may_send_parts_from_another_origin_and_see_their_tags(s3):
    url = s3.presigned_part("big", s3.begin_parts("big"), 1, size_bytes=3, expires_s=60)
    page = {"Origin": "http://127.0.0.1:8000"}

    asked = httpx.options(url, headers=page | {"Access-Control-Request-Method": "PUT"})
    answer = httpx.put(url, content=b"abc", headers=page)

    assert "PUT" in asked.headers["access-control-allow-methods"]
    assert asked.headers["access-control-allow-origin"] in {"*", page["Origin"]}
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] in {"*", page["Origin"]}
    assert "ETag" in answer.headers["access-control-expose-headers"]


def test_a_large_object_is_copied_in_parts(s3, monkeypatch):
    monkeypatch.setattr("shared.s3.object_storage.COPY_PART_BYTES", 5 << 20)
    monkeypatch.setattr(
        "shared.s3.object_storage.IN_PARTS", TransferConfig(multipart_threshold=5 << 20, multipart_chunksize=5 << 20)
    )
    content = secrets.token_bytes(11 << 20)
    s3.put("big", content)

    assert s3.copy("big", "copy")

    assert s3.get("copy") == content


def test_a_fit_store_passes_the_check_and_is_left_clean(s3):
    s3.check()
    assert list(s3.keys("")) == []


def test_a_check_whose_own_repetition_was_refused_passes(s3, monkeypatch):
    # given a client library that repeats the unanswered first write and gets 412 for it
    put = S3ObjectStorage.put
    monkeypatch.setattr(
        S3ObjectStorage, "put", lambda self, key, body, **options: put(self, key, body, **options) and body != b"first"
    )

    s3.check()


def test_a_store_that_ignores_conditions_is_refused(s3, monkeypatch):
    # `rclone serve s3` answers such a write with 200.
    put = S3ObjectStorage.put
    monkeypatch.setattr(S3ObjectStorage, "put", lambda self, key, body, **_: put(self, key, body))
    with pytest.raises(UnfitService, match="If-None-Match"):
        s3.check()


def test_wrong_credentials_are_said_so(settings):
    wrong = settings.model_copy(update={"s3_access_key": "nobody"})
    with pytest.raises(UnfitService, match=r"DREAM_S3_(ACCESS|SECRET)_KEY"):
        S3ObjectStorage.connect(Settings(**{**wrong.model_dump(), "s3_secret_key": "wrong"})).check()


def test_an_unreachable_store_is_a_clear_retryable_error():
    storage = S3ObjectStorage.connect(Settings(s3_url="http://127.0.0.1:1", s3_access_key="a", s3_secret_key="b"))
    with pytest.raises(StorageUnavailable) as caught:
        storage.get("x")
    assert caught.value.retryable
