import os
import subprocess
import sys

import numpy as np
import pytest

from worker.sharing import host
from worker.sharing.route import Route
from worker.sharing.shared_memory import TileMemory, pixels_at

pytestmark = pytest.mark.skipif(not host.identifier(), reason="needs memfd_create, which only Linux has")

OWNER = """
import sys
import numpy as np
from worker.sharing import host
from worker.sharing.shared_memory import TileMemory
memory = TileMemory(6 * 8 * 12)
memory.pixels(6, 8)[:] = np.arange(6 * 8 * 3).reshape(6, 8, 3)
print(host.identifier(), *memory.address, flush=True)
sys.stdin.read()
"""


@pytest.fixture
def owner():
    """A process with a window in its memory; gives the process, its host and the memory's address."""
    process = subprocess.Popen([sys.executable, "-c", OWNER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    name, *address = process.stdout.readline().split()
    yield process, name, (int(address[0]), int(address[1]), address[2])
    process.kill()
    process.communicate()


def test_another_process_reads_the_window_and_writes_the_gradient(owner):
    _, name, address = owner
    assert name == host.identifier()
    window = pixels_at(address, 6, 8)
    assert np.array_equal(window, np.arange(6 * 8 * 3).reshape(6, 8, 3))

    pixels_at(address, 3, 4)[:] = 7
    assert np.array_equal(window.ravel()[: 3 * 4 * 3], np.full(36, 7))


def test_the_memory_of_a_killed_process_is_gone_but_for_who_has_mapped_it(owner):
    process, _, address = owner
    window = pixels_at(address, 6, 8)
    process.kill()
    process.wait()
    assert window[5, 7, 2] == 6 * 8 * 3 - 1
    with pytest.raises(OSError, match=str(address[0])):
        pixels_at(address, 6, 8)


def test_later_memory_with_the_same_descriptor_is_not_taken_for_it():
    memory = TileMemory(4096)
    address = memory.address
    del memory
    later = TileMemory(4096)
    assert later.address[:2] == address[:2]
    with pytest.raises(FileNotFoundError, match="gone"):
        pixels_at(address, 1, 1)


def test_other_memory_of_the_coordinator_is_not_mapped():
    descriptor = os.memfd_create("secrets")
    os.truncate(descriptor, 4096)
    with pytest.raises(FileNotFoundError):
        pixels_at((os.getpid(), descriptor, "secrets"), 1, 1)
    os.close(descriptor)


def test_what_is_not_memory_is_not_opened(monkeypatch):
    reader, writer = os.pipe()
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("opened"))
    with pytest.raises(FileNotFoundError):
        pixels_at((os.getpid(), reader, "token"), 1, 1)
    os.close(reader)
    os.close(writer)


def test_memory_has_its_pages_from_the_start():
    memory = TileMemory(1 << 20)
    assert os.fstat(memory.address[1]).st_blocks * 512 >= 1 << 20


def test_another_group_is_another_host(monkeypatch):
    before = host.identifier()
    monkeypatch.setattr(os, "getgid", lambda: 12345)
    host.identifier.cache_clear()
    after = host.identifier()
    host.identifier.cache_clear()
    assert after
    assert after != before


def test_memory_is_free_again_once_no_view_of_the_tile_is_left():
    route = Route("queue", None, through_memory=True)
    memory = route.memory(4096)
    core = memory.pixels(8, 8)
    route.free(memory, after=core)
    view = core[2:]
    del core
    assert not route._free
    del view
    assert list(route._free) == [memory]


def test_memory_that_is_too_small_is_not_mapped():
    memory = TileMemory(4096)
    with pytest.raises(ValueError, match="greater than file size"):
        pixels_at(memory.address, 100, 100)
