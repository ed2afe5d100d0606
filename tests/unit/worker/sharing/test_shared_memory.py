import subprocess
import sys

import numpy as np
import pytest

from worker.sharing import host
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
    with pytest.raises(FileNotFoundError, match=address[2]):
        pixels_at(address, 1, 1)


def test_memory_that_is_too_small_is_not_mapped():
    memory = TileMemory(4096)
    with pytest.raises(ValueError, match="greater than file size"):
        pixels_at(memory.address, 100, 100)
