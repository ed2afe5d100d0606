"""Large images go to the object storage by parts, from both clients and from the command."""

import io
import os
import random

import httpx
import pytest
from PIL import Image

from api.client import Refused, ServerUnavailable, uploads
from shared.s3 import object_keys
from shared.settings import Settings
from tests.fakes.client import ServerWithWorker
from tests.fakes.clock import FakeClock

PART = 5_000


@pytest.fixture
def settings():
    return Settings(max_upload_bytes=20_000, max_pixels=1_000_000)


@pytest.fixture(autouse=True)
def small_parts(monkeypatch, world):
    monkeypatch.setattr("api.client.steps.BY_PARTS_BYTES", 10_000)
    monkeypatch.setattr(uploads, "PIECE_BYTES", 2_000)
    object.__setattr__(world.services.uploads, "part_bytes", PART)


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "Großes Bild.png"
    file = io.BytesIO()
    Image.frombytes("RGB", (100, 80), random.Random(3).randbytes(100 * 80 * 3)).save(file, "PNG")
    path.write_bytes(file.getvalue())  # noise does not compress: 24 KB
    return path


def test_a_large_photograph_is_sent_in_parts_with_all_options(client, transport, world, large, photo):
    sent = []

    job = client.submit(
        large,
        {"octaves": 2},
        mask=photo,
        priority="low",
        deadline_s=90.0,
        webhook_url="https://example.com/x",
        webhook_events="started,completed",
        on_upload=lambda *counts: sent.append(counts),
    )

    total = large.stat().st_size + photo.stat().st_size
    assert (job.name, job.params.octaves, job.priority) == ("Großes Bild.png", 2, "low")
    assert world.storage.get(object_keys.image(job.id)) == large.read_bytes()
    assert world.storage.get(object_keys.mask(job.id)) == photo.read_bytes()
    assert len(transport.parts_sent) == 6
    assert all("Authorization" not in request.headers for request in transport.parts_sent)
    assert sent == sorted(sent)
    assert {of for _, of in sent} == {total}
    assert sent[-1][0] == total


@pytest.mark.parametrize(
    ("stored", "name"),
    [(b"caf\xe9.png", "café.png"), (b"blob", None), (b"...", None), (b"two\nlines.png", "two lines.png")],
)
@pytest.mark.parametrize("sent", ["photo", "large"])  # in a form, by parts
def test_a_file_of_any_name_is_submitted(client, request, sent, stored, name):
    path = request.getfixturevalue(sent)
    path = path.rename(path.with_name(os.fsdecode(stored)))

    assert client.submit(path).name == name


def test_the_key_of_the_server_is_not_sent_to_the_storage(connect, transport, large):
    with connect("http://localhost", key="dream_secret", transport=transport, clock=FakeClock()) as client:
        client.submit(large)

    assert transport.parts_sent
    assert all("dream_secret" not in str(request.headers) for request in transport.parts_sent)


def test_a_small_photograph_is_sent_in_the_form(client, transport, photo):
    client.submit(photo)

    assert transport.parts_sent == []


@pytest.mark.parametrize("failure", [500, 503, httpx.ReadError("broken")])
def test_a_part_that_fails_is_sent_again_and_only_that_part(client, transport, world, large, failure):
    transport.part_answers = [200, failure, failure]

    job = client.submit(large)

    assert world.storage.get(object_keys.image(job.id)) == large.read_bytes()
    numbers = [request.url.params["part"] for request in transport.parts_sent]
    assert numbers == ["1", "2", "2", "2", "3", "4", "5"]


def test_a_part_whose_address_has_expired_gets_another_one(client, transport, world, large):
    transport.part_answers = [200, 403]

    job = client.submit(large)

    assert world.storage.get(object_keys.image(job.id)) == large.read_bytes()
    assert [request.url.params["part"] for request in transport.parts_sent] == ["1", "2", "2", "3", "4", "5"]


@pytest.mark.parametrize("answers", [[403] * 2, [500] * 5], ids=["refused", "unavailable"])
def test_an_upload_that_fails_for_good_is_removed(client, transport, world, large, answers):
    transport.part_answers = list(answers)

    with pytest.raises((ServerUnavailable, uploads.PartRefused)):
        client.submit(large)

    assert (world.storage.objects, world.storage.begun) == ({}, {})


def test_where_the_storage_takes_no_parts_the_form_is_used(client, transport, world, large):
    world.storage.has_parts = False

    with pytest.raises(Refused, match="larger than this service accepts"):  # the form's limit
        client.submit(large)
    assert transport.parts_sent == []


def test_dream_uploads_in_parts_too(connect, app, world, large):
    transport = ServerWithWorker(app, world)
    with connect("http://localhost", transport=transport, clock=FakeClock()) as client:
        assert client.dream(large) == b"png"
    assert len(transport.parts_sent) == 5
