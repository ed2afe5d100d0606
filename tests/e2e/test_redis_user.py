"""The whole service as the Redis user that docs/REDIS.md recommends."""

import re

import numpy as np
import pytest
import redis

from api.client.dream_client import DreamClient
from deploy.local.embedded_services import StackState, embedded_redis
from deploy.local.process import ROOT, Child
from deploy.local.stack import Stack
from shared.jobs.job import JobState
from shared.params import Target
from shared.settings import Settings
from tests.fakes.pictures import a_picture
from tests.fakes.toy_networks import photograph as pixels_of
from worker.dream.tiles.tiling import Tile
from worker.sharing.messages import TileAnswer, TileRequest
from worker.sharing.tile_exchange import TileExchange

ACL = re.compile(r"<!-- acl -->\n```\n(.*?)\n```", re.DOTALL)


@pytest.fixture
def restricted(tmp_path):
    """A Redis with that user; gives the settings that log in as it, and the administrator's client."""
    part, settings = embedded_redis(tmp_path / "redis", StackState(), Settings())
    child = Child(part, tmp_path / "redis.log")
    try:
        child.wait_until_ready()
        with redis.Redis.from_url(settings.redis_url, decode_responses=True) as admin:
            recipe = ACL.search((ROOT / "docs" / "REDIS.md").read_text())[1].replace("PASSWORD", "secret")
            if int(admin.info()["redis_version"].split(".")[0]) < 7:
                recipe = recipe.replace("+script|load +script|exists", "+script")
            admin.execute_command(*recipe.split())
            yield settings.model_copy(update={"redis_url": _as_user(settings.redis_url)}), admin
    finally:
        child.kill()


def _as_user(url):
    return re.sub(r"//[^@]*@", "//dreamqueue:secret@", url)


def test_every_command_that_the_service_sends_is_allowed(restricted, tmp_path):
    settings, admin = restricted
    photograph = tmp_path / "photo.jpg"
    photograph.write_bytes(a_picture(width=160, height=120))
    running = Stack(tmp_path / "stack", workers=1, settings=settings, embed={"s3"})
    try:
        running.start()
        with DreamClient(running.api_url) as client:
            job = client.submit(photograph, {"octaves": 2, "iterations": 3})
            events = [event.name for event in client.events(job.id)]
            assert client.wait(job.id).state is JobState.SUCCEEDED
            assert "job" in events
            client.list_jobs()
            waiting = client.submit(photograph, {"octaves": 3, "iterations": 200})
            client.cancel(waiting.id)
            client.delete(job.id)
    finally:
        running.stop()

    assert admin.acl_log() == []


def test_workers_may_share_a_dream(restricted):
    settings, admin = restricted
    exchange, image = TileExchange.connect(settings), pixels_of(64, 64)
    tile = Tile(core=((0, 64), (0, 64)), window=((0, 64), (0, 64)))
    fields = {"job_id": "j", "claim": "c", "model": "toy", "weights_sha256": "0" * 64, "guide": (64, 64)}
    first, second = (TileRequest.of(tile, number=n, layers=(Target(layer="layer2"),), **fields) for n in (1, 2))

    exchange.send_guide("j", "c", image)
    exchange.send_guide("j", "c", image)
    exchange.send(first, image, "numerics")
    exchange.send(second, image, "numerics")

    assert exchange.has_memory()
    assert np.array_equal(exchange.guide(first), image)
    assert np.array_equal(exchange.take(first), image)
    exchange.answer(first, TileAnswer(number=1, worker="h"), image)
    assert exchange.receive("j", "c").number == 1
    assert np.array_equal(exchange.core(first), image)
    assert exchange.withdraw(second)
    exchange.close("j", "c")
    assert admin.acl_log() == []
