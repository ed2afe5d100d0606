"""Reading an object piece by piece, as a file."""

import random

import pytest

from shared.errors import StorageUnavailable
from shared.s3.ranged_file import MAX_BYTES, RangedFile
from tests.fakes.object_storage import MemoryObjectStorage


class CountingStorage(MemoryObjectStorage):
    def __init__(self):
        super().__init__()
        self.fetched = []

    def read(self, key, at, size_bytes):
        self.fetched.append(size_bytes)
        return super().read(key, at, size_bytes)


@pytest.fixture
def storage():
    return CountingStorage()


def opened(storage, content):
    storage.put("a", content)
    return RangedFile(storage, "a", len(content))


def test_reads_like_a_file_wherever_it_stands(storage):
    rng = random.Random(5)
    content = rng.randbytes(700_000)
    file = opened(storage, content)

    for _ in range(200):
        at, size = rng.randrange(720_000), rng.choice([0, 1, 8, 5_000, 200_000])
        assert file.seek(at) == at
        assert file.read(size) == content[at : at + size]
        assert file.tell() == max(at, min(at + size, len(content))) if size else at
    assert (file.seek(-4, 2), file.read()) == (len(content) - 4, content[-4:])


def test_a_header_costs_one_small_request_and_a_scan_few_large_ones(storage):
    file = opened(storage, bytes(64 << 20))

    for at in range(0, 4096, 8):
        file.seek(at)
        file.read(8)
    assert storage.fetched == [64 << 10]
    file.seek(0)
    while file.read(1 << 20):
        pass
    assert len(storage.fetched) < 20
    assert max(storage.fetched) == MAX_BYTES


def test_a_chain_of_headers_is_read_in_large_pieces(storage):
    """As libpng writes pictures: a header every 8 KB."""
    size = 64 << 20
    file = opened(storage, bytes(size))

    for at in range(0, size, 8204):
        file.seek(at)
        file.read(8)

    assert len(storage.fetched) < 20


def test_an_object_that_disappears_is_an_outage_not_an_end(storage):
    file = opened(storage, b"x" * 100)
    storage.delete(["a"])

    with pytest.raises(StorageUnavailable):
        file.read(1)
