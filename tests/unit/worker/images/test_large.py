"""Tests that large pictures are decoded and encoded without a copy in memory, in a process of their own."""

import json
import subprocess
import sys

import cv2
import numpy as np
import pytest
import skimage.data
import tifffile
from PIL import Image as Pillow

from shared.errors import ImageUnreadable, LocalDiskError
from worker import images
from worker.dream.ascent import memory
from worker.images import large

pytestmark = pytest.mark.slow

HEIGHT, WIDTH = 5000, 7000
MEASURE = """
import json, sys
from pathlib import Path
from tests.benchmarks.engine.memory import resident_bytes
from worker import images
from worker.dream.ascent import memory
from worker.images import large

large.LARGE_PX, memory.bytes_for_arrays = 0, lambda: 0
source, target, form = sys.argv[1:]
idle = resident_bytes("VmRSS")
peaks = []
with open(source, "rb") as file, open(target, "wb") as result:
    for step in range(2):
        Path("/proc/self/clear_refs").write_text("5")
        if step == 0:
            image = images.decode(file, max_pixels=10**8).image
        else:
            images.encode(image, result, format=form, recipe={})
            images.preview(image)
        peaks.append((resident_bytes("VmHWM") - idle) / 2**20)
json.dump(peaks, sys.stdout)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("large")
    pixels = cv2.resize(skimage.data.coffee(), (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    Pillow.fromarray(pixels).save(folder / "a.png", compress_level=1)
    Pillow.fromarray(pixels).save(folder / "a.jpg", quality=90)
    tifffile.imwrite(folder / "a.tif", pixels, photometric="rgb", compression="zlib", tile=(512, 512))
    tifffile.imwrite(folder / "turned.tif", pixels, photometric="rgb", extratags=[(274, "H", 1, 6, True)])
    return folder


@pytest.mark.parametrize(("name", "form"), [("a.png", "png"), ("a.jpg", "jpeg"), ("turned.tif", "jpeg")])
def test_neither_decoding_nor_encoding_holds_the_picture_in_memory(folder, name, form):
    command = [sys.executable, "-c", MEASURE, str(folder / name), str(folder / "result"), form]
    run = subprocess.run(command, capture_output=True, text=True, check=True)

    decoded_mib, encoded_mib = json.loads(run.stdout)
    whole_mib = HEIGHT * WIDTH * 12 / 2**20
    assert decoded_mib < whole_mib / 3
    assert encoded_mib < whole_mib / 3


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif"])
def test_a_large_picture_that_is_damaged_is_refused(folder, monkeypatch, tmp_path, name):
    monkeypatch.setattr(large, "LARGE_PX", 0)
    data = bytearray((folder / name).read_bytes())
    middle = len(data) // 2
    data[middle : middle + 20_000] = b"\xff\xc0" * 10_000
    (tmp_path / name).write_bytes(data)

    with (tmp_path / name).open("rb") as file, pytest.raises(ImageUnreadable):
        images.decode(file, max_pixels=10**8)


def test_a_disk_without_room_is_not_a_damaged_picture(folder, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(large, "LARGE_PX", 0)
    monkeypatch.setattr(memory, "bytes_for_arrays", lambda: 0)
    monkeypatch.setattr("worker.dream.scratch._allocate", full)

    with (folder / "a.png").open("rb") as file, pytest.raises(LocalDiskError, match="105,000,000 bytes are needed"):
        images.decode(file, max_pixels=10**8)


def test_the_picture_that_was_turned_stands_upright(folder, monkeypatch):
    with (folder / "turned.tif").open("rb") as file:
        usual = images.decode(file, max_pixels=10**8).image
        monkeypatch.setattr(large, "LARGE_PX", 0)
        found = images.decode(file, max_pixels=10**8).image
    assert found.shape == (WIDTH, HEIGHT, 3)
    assert np.array_equal(found, usual)
