"""Uploads over a slow link: the time limit grows with the size, since the response comes only after all of it."""

from urllib.parse import urlsplit

import pytest

from shared.errors import StorageUnavailable
from shared.s3.clients import SLOWEST_BYTES_PER_S, upload_timeout_s
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from tests.chaos.network.tcp_proxy import Trouble, tcp_proxy

PHOTOGRAPH = bytes(1_900_000)


def test_a_photograph_of_19_mb_has_time_for_a_link_of_50_kb_per_second():
    assert upload_timeout_s(Settings(), len(PHOTOGRAPH)) > len(PHOTOGRAPH) / 50_000
    assert SLOWEST_BYTES_PER_S <= 50_000


@pytest.mark.service
def test_an_upload_that_takes_longer_than_the_limit_of_a_small_one_succeeds(settings):
    # given a link on which the photograph takes ten times the time limit of a small request
    quick = settings.model_copy(update={"s3_timeout_s": 0.5})
    url = urlsplit(settings.s3_url)
    S3ObjectStorage.connect(settings).check()

    with tcp_proxy((url.hostname, url.port)) as link:
        storage = S3ObjectStorage.connect(quick.model_copy(update={"s3_url": f"http://127.0.0.1:{link.port}"}))
        link.disturb(Trouble("bandwidth", bytes_per_s=400_000))

        # when, then
        assert storage.put("slow/photograph", PHOTOGRAPH)
    assert S3ObjectStorage.connect(settings).size("slow/photograph") == len(PHOTOGRAPH)


@pytest.mark.service
def test_a_link_that_stands_still_is_given_up(settings):
    url = urlsplit(settings.s3_url)
    with tcp_proxy((url.hostname, url.port)) as link:
        quick = settings.model_copy(update={"s3_timeout_s": 0.5, "s3_url": f"http://127.0.0.1:{link.port}"})
        link.disturb(Trouble("half-open"))
        with pytest.raises(StorageUnavailable):
            S3ObjectStorage.connect(quick).put("slow/still", b"small")
