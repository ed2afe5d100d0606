"""A dream shared through a real Redis and Celery's real queue, with helpers on threads."""

import dataclasses
import threading
from contextlib import contextmanager
from functools import partial

import numpy as np
import pytest
import redis

from shared.celery_app import make_app, tile_queue
from shared.errors import ModelUnavailable
from shared.interfaces import WorkerInfo
from shared.jobs.job import Job
from shared.params import DreamParams, Target
from shared.redis.job_store import RedisJobStore
from tests.fakes.job_factory import a_manifest
from tests.fakes.redis_server import RefusingRedis
from tests.fakes.toy_networks import photograph, toy_network
from tests.waiting import wait_until
from worker.dream import engine
from worker.dream.inputs import Inputs
from worker.dream.tiles.tiling import Tile
from worker.sharing import pace
from worker.sharing.helper import TileHelper
from worker.sharing.messages import TileAnswer, TileRequest
from worker.sharing.shared_dream import SharedDream
from worker.sharing.tile_exchange import TileExchange

NUMERICS = "same"
PARAMS = DreamParams(
    model="toy", layers=(Target(layer="layer2"),), octaves=2, iterations=6, jitter=8, tile_size=128, seed=7
)


@pytest.fixture(scope="module")
def toy():
    return toy_network()


@pytest.fixture(autouse=True)
def any_tile_gains(monkeypatch):
    """The toy's tiles take milliseconds, which it would not gain to send."""
    monkeypatch.setattr(pace, "LEAST_GAIN", 0)
    monkeypatch.setattr(pace, "MOST_LATENCY", float("inf"))


class OneNetwork:
    """A dreamer that has one network."""

    def __init__(self, network):
        self.network = network

    def load(self, model):
        if model != self.network.name:
            raise ModelUnavailable

    def tile_gradient(self, model, weights_sha256, layers, guide):
        return engine.gradient_for(self.network, layers, guide)


class HelperThread:
    """An idle worker: receives tiles from Celery's queue and passes them to a TileHelper."""

    def __init__(self, settings, network, *, name="helper", numerics=NUMERICS):
        self.jobs_run = 0
        self.received = 0
        self.has_job = False
        self._settings, self._name, self._numerics = settings, name, numerics
        self._store = RedisJobStore.connect(settings)
        self._exchange = TileExchange.connect(settings)
        self._drain = threading.Event()
        self.helper = TileHelper(
            name=name, dreamer=OneNetwork(network), exchange=self._exchange, run_next=self._run_next, drain=self._drain
        )
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def _run_next(self):
        if not self.has_job:
            return False
        self.has_job = False
        self.jobs_run += 1
        return True

    def register(self):
        info = WorkerInfo(
            name=self._name, models=("toy",), device="CPU", job_id=None, seen_at=0, numerics=self._numerics
        )
        self._store.register_worker(info, ttl_s=60)

    def _work(self):
        with make_app(self._settings).connection_for_read() as connection:
            queue = connection.SimpleQueue(tile_queue(self._numerics, "toy"), no_ack=True)
            while not self._stop.is_set():
                try:
                    message = queue.get(timeout=0.2)
                except queue.Empty:
                    continue
                self.received += 1
                self.compute(message.payload[1]["request"])
            queue.close()

    def compute(self, request):
        self.helper.help(request)

    def __enter__(self):
        self.register()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@contextmanager
def shared(settings, network, *, guide=None):
    """A SharedDream that has already found its helpers."""
    share = partial(
        SharedDream,
        store=RedisJobStore.connect(settings),
        exchange=TileExchange.connect(settings),
        numerics=NUMERICS,
        settings=settings,
    )
    job = dataclasses.replace(Job.from_manifest(a_manifest()), claim="claim")
    with share(job, PARAMS, weights_sha256=network.weights_sha256, guide=guide, own_s_per_px=None) as dream:
        dream.has_room(1)
        wait_until(lambda: dream._helpers > 0, what="helpers to be found")
        yield dream


def dreamt(network, *, helpers=None, inputs=None):
    result, _ = engine.dream(
        network, photograph(400, 500), PARAMS, helpers=helpers, threads=1, inputs=inputs or Inputs()
    )
    return result


def keys_of_tiles(settings):
    with redis.Redis.from_url(settings.redis_url) as client:
        return list(client.scan_iter("dream:tiles:*"))


def test_two_helpers_compute_tiles_and_the_bytes_stay_the_same(settings, toy):
    with HelperThread(settings, toy, name="h1"), HelperThread(settings, toy, name="h2"), shared(settings, toy) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert dream.tiles.keys() == {"h1", "h2"}
        assert dream.tiles.total() > 10
    assert not keys_of_tiles(settings)


def test_a_guided_dream_is_shared_with_its_guide(settings, toy):
    inputs = Inputs(guide=photograph(128, 160, seed=3))
    with HelperThread(settings, toy), shared(settings, toy, guide=inputs.guide) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream, inputs=inputs), dreamt(toy, inputs=inputs))
        assert dream.tiles.total() > 0


def test_nobody_waits_for_a_helper_that_died_with_a_tile(settings, toy):
    class Dying(HelperThread):
        def compute(self, request):
            if self.received <= 2:
                super().compute(request)
            elif self._exchange.take(TileRequest.model_validate(request)) is not None:
                self._stop.set()  # and never answers

    with Dying(settings, toy) as helper, shared(settings, toy) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert helper._stop.is_set()
        assert dream.tiles.total() <= 2


def test_a_job_that_waits_comes_before_a_tile(settings, toy):
    with HelperThread(settings, toy) as helper, shared(settings, toy) as dream:
        helper.has_job = True
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert helper.jobs_run == 1


def test_workers_with_other_numerics_are_not_asked(settings, toy):
    with HelperThread(settings, toy, numerics="other") as other, HelperThread(settings, toy) as helper:
        with shared(settings, toy) as dream:
            assert dream._helpers == 1
            dreamt(toy, helpers=dream)
        assert helper.received > 0
        assert other.received == 0


def test_bytes_in_flight_are_bounded(settings, toy):
    window_bytes = 128 * 128 * 12
    tight = settings.model_copy(update={"share_bytes": 2 * window_bytes})
    with HelperThread(tight, toy), shared(tight, toy) as dream:
        dream.tile_computed(1, 1.0)
        assert dream.has_room(128 * 128)
        assert not dream.has_room(128 * 128 + 1)


def test_a_dream_continues_alone_when_redis_goes_away(tmp_path, settings, toy):
    server = RefusingRedis(tmp_path / "redis")
    try:
        own = settings.model_copy(update={"redis_url": server.url, "redis_timeout_s": 0.5})
        helper = HelperThread(own, toy)
        helper.register()
        with shared(own, toy) as dream:
            server.stop()
            assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
            assert dream.tiles.total() == 0
    finally:
        server.stop()


def test_what_no_helper_receives_disappears(settings, toy):
    helper = HelperThread(settings, toy)
    helper.register()  # but it does not work
    with shared(settings, toy) as dream:
        dreamt(toy, helpers=dream)
    assert not keys_of_tiles(settings)
    with redis.Redis.from_url(settings.redis_url) as client:
        name = tile_queue(NUMERICS, "toy").name
        assert client.llen(name) > 0
        assert 0 < client.ttl(name) <= 120


def test_pixels_are_not_written_to_the_append_only_file(tmp_path, settings):
    server = RefusingRedis(tmp_path / "redis")
    try:
        server.admin.config_set("appendonly", "yes")
        exchange = TileExchange.connect(settings.model_copy(update={"redis_url": server.url}))
        tile = Tile(core=((0, 600), (0, 600)), window=((0, 600), (0, 600)))
        request = TileRequest.of(
            tile, job_id="j", claim="c", number=1, model="toy", weights_sha256="0" * 64, layers=PARAMS.layers
        )
        image = photograph(600, 600)

        exchange.send(request, image, NUMERICS)
        exchange.answer(request, TileAnswer(number=1, worker="h"), image)

        assert np.array_equal(exchange.take(request), image)
        assert np.array_equal(exchange.core(request), image)
        assert exchange.take(request) is None
        assert 0 < sum(file.stat().st_size for file in (tmp_path / "redis").rglob("*.aof")) < 20_000
    finally:
        server.stop()
