"""Each feature of the service once, on the real stack with the real network."""

import io

import httpx
import numpy as np
import pytest
from PIL import Image

from api.cli import main
from api.client import Refused
from api.client.recipes import read_recipe
from shared.jobs.job import JobState
from shared.s3 import object_keys
from shared.s3.object_storage import S3ObjectStorage

SMALL = {"octaves": 2, "iterations": 3, "layers": [{"layer": "block4_expand"}]}


@pytest.fixture
def storage(stack):
    return S3ObjectStorage.connect(stack.settings)


@pytest.fixture
def half_mask(tmp_path):
    """A mask whose right half is white."""
    mask = np.zeros((10, 20), np.uint8)
    mask[:, 10:] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    return tmp_path / "mask.png"


def pixels(path):
    with Image.open(path) as picture:
        return np.asarray(picture.convert("RGB"), np.float32)


def succeeded(client, job):
    ended = client.wait(job.id)
    assert ended.state is JobState.SUCCEEDED, ended.error
    return ended


def test_a_guided_masked_dream_keeps_gradients_and_the_unmasked_pixels(
    client, photograph, half_mask, storage, tmp_path
):
    params = SMALL | {"color": "original", "brightness_lock": True, "keep_gradients": True}

    job = succeeded(client, client.submit(photograph, params, guide=photograph, mask=half_mask))

    client.download(job.id, tmp_path / "dream.png")
    before, after = pixels(photograph), pixels(tmp_path / "dream.png")
    assert before.shape == after.shape
    left = slice(0, int(before.shape[1] * 0.4))
    assert np.array_equal(before[:, left], after[:, left])
    assert np.abs(before - after)[:, -left.stop :].mean() > 1
    kept = list(storage.keys(object_keys.gradients(job.id)))
    assert kept == [object_keys.gradient(job.id, octave) for octave in range(2)]
    with Image.open(io.BytesIO(storage.get(kept[-1]))) as gradient:
        assert gradient.size == (before.shape[1], before.shape[0])
    assert {"image", "guide", "mask"} == read_recipe(tmp_path / "dream.png")["inputs"].keys()


def test_a_small_photograph_is_enlarged_to_a_16_bit_png(client, photograph, tmp_path):
    job = succeeded(client, client.submit(photograph, SMALL | {"long_side": 300, "format": "png16"}))
    client.download(job.id, tmp_path / "print.png")
    header = (tmp_path / "print.png").read_bytes()[16:25]
    assert (max(int.from_bytes(header[:4], "big"), int.from_bytes(header[4:8], "big")), header[8]) == (300, 16)


def test_feature_maps_are_returned_as_a_grid_and_as_data(client, stack, photograph, tmp_path):
    job = succeeded(client, client.submit(photograph, {"layer": "block3", "count": 6}, kind="feature_maps"))
    client.download(job.id, tmp_path / "maps.png")
    numbers = httpx.get(f"{stack.api_url}{job.links.data}", follow_redirects=True).content
    with np.load(io.BytesIO(numbers)) as file:
        channels = file["channels"].tolist()
        assert file["maps"].shape[2] == 6
    cells = client.report(job.id)["cells"]
    assert [cell["channel"] for cell in cells] == channels
    assert max(cell["x"] + cell["width"] for cell in cells) <= pixels(tmp_path / "maps.png").shape[1]


def test_again_reproduces_the_same_pixels(client, stack, photograph, tmp_path, capsys):
    job = succeeded(client, client.submit(photograph, SMALL | {"seed": 5, "scale": 1.25}))
    first, second = tmp_path / "first.png", tmp_path / "second.png"
    client.download(job.id, first)

    code = main.run([*f"--server {stack.api_url} again --image {photograph} -o".split(), *map(str, [second, first])])

    assert code == 0
    assert "iffer" not in capsys.readouterr().err
    assert first.read_bytes() == second.read_bytes()


def test_a_job_for_a_network_that_no_worker_serves_waits_for_it(client, photograph):
    job = client.submit(photograph, {"model": "vgg16"})
    try:
        assert "'vgg16'" in client.get(job.id).waiting_for
    finally:
        client.cancel(job.id)


def test_an_enlargement_above_the_limit_is_refused(client, photograph):
    with pytest.raises(Refused, match="at most"):
        client.submit(photograph, {"long_side": 100_000})
