"""Large images by parts, from the client through the real object storage."""

import os

import httpx
import pytest
from PIL import Image

from api.client import DreamClient
from shared.s3 import object_keys
from shared.s3.object_storage import S3ObjectStorage


@pytest.fixture
def noise(tmp_path):
    path = tmp_path / "huge.png"
    Image.frombytes("RGB", (3400, 3400), os.urandom(3400 * 3400 * 3)).save(path, compress_level=0)
    return path


def test_a_large_photograph_arrives_as_it_is(stack, noise):
    sent = []
    with DreamClient(stack.api_url) as client:
        job = client.submit(noise, {"iterations": 1, "octaves": 1}, on_upload=lambda *counts: sent.append(counts))
        client.cancel(job.id)

    storage = S3ObjectStorage.connect(stack.settings)
    assert (job.name, job.input.width, job.input.size_bytes) == ("huge.png", 3400, noise.stat().st_size)
    assert storage.get(object_keys.image(job.id)) == noise.read_bytes()
    assert sent[-1] == (noise.stat().st_size, noise.stat().st_size)
    assert list(storage.keys(object_keys.open_uploads("local"))) == []


def test_the_storage_refuses_a_part_of_another_size_than_announced(stack):
    with httpx.Client(base_url=stack.api_url) as http:
        upload = http.post("/v1/uploads/parts", json={"size_bytes": 1000}).json()["id"]
        (part,) = http.get(f"/v1/uploads/{upload}/parts").json()["parts"]

        assert httpx.put(part["url"], content=b"x" * 2000).status_code == 403
        assert http.post(f"/v1/uploads/{upload}/complete").status_code == 409
        assert httpx.put(part["url"], content=b"x" * 1000).status_code == 200
        assert http.post(f"/v1/uploads/{upload}/complete").status_code == 200
        assert httpx.put(part["url"], content=b"y" * 1000).status_code == 404  # the URL is worth nothing now
        refused = http.post("/v1/jobs", json={"image": {"upload": upload}})
        assert (refused.status_code, refused.json()["code"]) == (415, "unsupported_image")
