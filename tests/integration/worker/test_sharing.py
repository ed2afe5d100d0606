"""A dream shared through a real Redis and Celery's real queue, with helpers on threads.

Pixels go through Redis or, between workers of one host, through memory that both map.
"""

import dataclasses
import threading
import time
from contextlib import contextmanager, suppress
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
from worker.sharing import pace, shared_dream, shared_memory
from worker.sharing.helper import TileHelper
from worker.sharing.host import queue_of
from worker.sharing.messages import TileAnswer, TileRequest
from worker.sharing.shared_dream import SharedDream
from worker.sharing.tile_exchange import TileExchange

NUMERICS = "same"
OTHER_HOST = "other"  # than HOST, which is the coordinator's
HOST = "here"
PARAMS = DreamParams(
    model="toy", layers=(Target(layer="layer2"),), octaves=2, iterations=6, jitter=8, tile_size=128, seed=7
)


@pytest.fixture(scope="module")
def toy():
    return toy_network()


@pytest.fixture(autouse=True)
def any_tile_gains(monkeypatch):
    """The toy's tiles take milliseconds, which it would not gain to send, and seconds where other programs run."""
    monkeypatch.setattr(pace, "LEAST_GAIN", 0)
    monkeypatch.setattr(pace, "MOST_LATENCY", float("inf"))
    monkeypatch.setattr(pace, "LEAST_PATIENCE_S", 30.0)


@pytest.fixture
def impatient(monkeypatch):
    """For tests in which an answer never comes."""
    monkeypatch.setattr(pace, "LEAST_PATIENCE_S", 1.0)


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

    def __init__(self, settings, network, *, name="helper", numerics=NUMERICS, host=HOST):
        self.jobs_run = 0
        self.received = 0
        self.has_job = False
        self._settings, self._name, self._numerics, self._host = settings, name, numerics, host
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
            name=self._name,
            models=("toy",),
            device="CPU",
            job_id=None,
            seen_at=0,
            numerics=self._numerics,
            host=self._host,
        )
        self._store.register_worker(info, ttl_s=60)

    def _work(self):
        queues = [tile_queue(name, "toy") for name in (queue_of(self._numerics, self._host), self._numerics)]
        with (
            make_app(self._settings).connection_for_read() as connection,
            connection.Consumer(queues, callbacks=[self._receive], no_ack=True, prefetch_count=1),
        ):
            while not self._stop.is_set():
                with suppress(TimeoutError):
                    connection.drain_events(timeout=0.2)

    def _receive(self, body, _message):
        self.received += 1
        self.compute(body[1]["request"])

    def compute(self, request):
        self.helper.help(request)

    def __enter__(self):
        self.register()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()


@pytest.fixture(params=[HOST, OTHER_HOST], ids=["through memory", "through redis"])
def shared(request):
    """Shares dreams as a coordinator on the helpers' host, and as one on another host."""
    return partial(a_shared_dream, host=request.param)


@contextmanager
def a_shared_dream(settings, network, *, host, guide=None):
    """A SharedDream that has already found its helpers."""
    with start(settings, network, host=host, guide=guide) as dream:
        dream.has_room(1)
        wait_until(lambda: dream._near.helpers + dream._far.helpers > 0, what="helpers to be found")
        yield dream


def start(settings, network, *, host, guide=None):
    job = dataclasses.replace(Job.from_manifest(a_manifest()), claim="claim")
    return SharedDream(
        job,
        PARAMS,
        weights_sha256=network.weights_sha256,
        guide=guide,
        own_s_per_px=None,
        store=RedisJobStore.connect(settings),
        exchange=TileExchange.connect(settings),
        numerics=NUMERICS,
        host=host,
        settings=settings,
    )


def dreamt(network, *, helpers=None, inputs=None):
    result, _ = engine.dream(
        network, photograph(400, 500), PARAMS, helpers=helpers, threads=1, inputs=inputs or Inputs()
    )
    return result


def keys_of_tiles(settings):
    with redis.Redis.from_url(settings.redis_url) as client:
        return list(client.scan_iter("dream:tiles:*"))


def test_two_helpers_compute_tiles_and_the_bytes_stay_the_same(settings, toy, shared):
    with HelperThread(settings, toy, name="h1"), HelperThread(settings, toy, name="h2"), shared(settings, toy) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert dream.tiles.keys() == {"h1", "h2"}
        assert dream.tiles.total() > 10
    assert not keys_of_tiles(settings)


def test_a_guided_dream_is_shared_with_its_guide(settings, toy, shared):
    inputs = Inputs(guide=photograph(128, 160, seed=3))
    with HelperThread(settings, toy), shared(settings, toy, guide=inputs.guide) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream, inputs=inputs), dreamt(toy, inputs=inputs))
        assert dream.tiles.total() > 0


@pytest.mark.usefixtures("impatient")
def test_nobody_waits_for_a_helper_that_died_with_a_tile(settings, toy, shared):
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


def test_tiles_of_a_helper_that_never_answers_do_not_pile_up(settings, toy, shared, monkeypatch):
    class Silent(HelperThread):
        def compute(self, request):
            with suppress(OSError):  # the tile was taken back meanwhile
                self._exchange.take(TileRequest.model_validate(request))

    monkeypatch.setattr(pace, "LEAST_PATIENCE_S", 0)
    monkeypatch.setattr(pace, "PATIENCE", 0.5)
    most = 0

    def submit(*args):
        nonlocal most
        future = SharedDream.submit(dream, *args)
        most = max(most, len(dream._sent))
        return future

    with Silent(settings, toy) as helper, shared(settings, toy) as dream:
        monkeypatch.setattr(dream, "submit", submit)
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert helper.received > 2
    assert 0 < most <= shared_dream.WINDOWS_PER_HELPER


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_cannot_be_processed_does_not_hold_up_the_next_ones(settings, toy, shared):
    def fail_once(sent):
        del dream._core
        raise AttributeError

    with HelperThread(settings, toy), shared(settings, toy) as dream:
        dream._core = fail_once
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert dream.tiles.total() > 0


def test_a_probe_is_sent_by_the_route_that_it_is_for(settings, toy, monkeypatch):
    tile = Tile(core=((0, 8), (0, 8)), window=((0, 8), (0, 8)))
    with HelperThread(settings, toy), a_shared_dream(settings, toy, host=HOST) as dream:
        monkeypatch.setattr(pace, "LEAST_GAIN", 2)
        dream.tile_computed(1, 1.0)
        dream._near.pace.answered(1, cost_s=1.0, latency_s=1.0, turnaround_s=1.0)  # too expensive
        assert dream.has_room(64)
        dream.submit(tile, lambda: photograph(8, 8))
        assert [sent.route for sent in dream._sent.values()] == [dream._near]


def test_a_window_that_cannot_be_read_stops_nothing(settings, toy, shared):
    def out_of_memory():
        raise MemoryError

    tile = Tile(core=((0, 8), (0, 8)), window=((0, 8), (0, 8)))
    with HelperThread(settings, toy), shared(settings, toy) as dream:
        future = dream.submit(tile, out_of_memory)
        dream.abandon()
        assert not future.done()


def test_helpers_count_once_they_have_the_guide(settings, toy, monkeypatch):
    counts = []

    def send_guide(exchange, *args):
        counts.append(dream._near.helpers + dream._far.helpers)
        return real(exchange, *args)

    real = TileExchange.send_guide
    monkeypatch.setattr(TileExchange, "send_guide", send_guide)
    helper = HelperThread(settings, toy)
    helper.register()
    with start(settings, toy, host=HOST, guide=photograph(64, 64)) as dream:
        dream.has_room(1)
        wait_until(lambda: dream._near.helpers, what="the helper to be found")
    assert counts[0] == 0


def test_pixels_of_a_wrong_size_do_not_end_the_use_of_memory(settings, toy):
    class Refusing(HelperThread):
        def compute(self, request):
            refusal = TileAnswer(number=request["number"], worker=self._name, failure="receive")
            self._exchange.answer(TileRequest.model_validate(request), refusal)

    with Refusing(settings, toy, host=OTHER_HOST), a_shared_dream(settings, toy, host=HOST) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert dream._host == HOST


@pytest.mark.usefixtures("impatient")
def test_what_a_lost_helper_writes_into_memory_reaches_no_other_tile(settings, toy):
    class Scribbling(HelperThread):
        windows = ()

        def compute(self, request):
            window = self._exchange.take(TileRequest.model_validate(request))
            if window is None:  # withdrawn already
                return
            self.windows = (*self.windows, window)
            while not self._stop.is_set():  # it never answers
                self.windows[0][:] = np.nan
                time.sleep(0.001)

    with (
        Scribbling(settings, toy) as lost,
        HelperThread(settings, toy),
        a_shared_dream(settings, toy, host=HOST) as dream,
    ):
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert len(lost.windows) == 1
        assert dream.tiles["helper"] > 10


def test_helpers_here_and_elsewhere_compute_tiles_of_one_dream(settings, toy):
    with (
        HelperThread(settings, toy, name="near"),
        HelperThread(settings, toy, name="far", host=OTHER_HOST),
        a_shared_dream(settings, toy, host=HOST) as dream,
    ):
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert dream.tiles.keys() == {"near", "far"}


def test_helpers_that_cannot_map_memory_get_their_tiles_through_redis(settings, toy, monkeypatch):
    def forbidden(*_):
        raise PermissionError

    monkeypatch.setattr(shared_memory, "pixels_at", forbidden)
    monkeypatch.setattr(shared_dream, "SEARCH_EVERY_S", 0.05)
    with HelperThread(settings, toy), a_shared_dream(settings, toy, host=HOST) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert dream.tiles.total() > 0


@pytest.mark.usefixtures("impatient")
def test_an_answer_that_cannot_be_sent_does_not_hold_up_the_next_ones(settings, toy, shared):
    class Failing(HelperThread):
        def __enter__(self):
            self._exchange.answer = self._fail_once
            return super().__enter__()

        def _fail_once(self, *_):
            del self._exchange.answer
            raise MemoryError

    with Failing(settings, toy), shared(settings, toy) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert dream.tiles.total() > 5


def test_a_dream_continues_alone_where_the_workers_are_unreadable(settings, toy, monkeypatch):
    def unreadable(_):
        raise KeyError("models")

    monkeypatch.setattr(RedisJobStore, "workers", unreadable)
    with start(settings, toy, host=HOST) as dream:
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert dream.tiles.total() == 0


def test_a_job_that_waits_comes_before_a_tile(settings, toy, shared):
    with HelperThread(settings, toy) as helper, shared(settings, toy) as dream:
        helper.has_job = True
        assert np.array_equal(dreamt(toy, helpers=dream), dreamt(toy))
        assert helper.jobs_run == 1


def test_workers_with_other_numerics_are_not_asked(settings, toy, shared):
    with HelperThread(settings, toy, numerics="other") as other, HelperThread(settings, toy) as helper:
        with shared(settings, toy) as dream:
            assert dream._near.helpers + dream._far.helpers == 1
            dreamt(toy, helpers=dream)
        assert helper.received > 0
        assert other.received == 0


def test_bytes_in_flight_are_bounded(settings, toy, shared):
    window_bytes = 128 * 128 * 12
    tight = settings.model_copy(update={"share_bytes": 2 * window_bytes})
    with HelperThread(tight, toy), shared(tight, toy) as dream:
        dream.tile_computed(1, 1.0)
        assert dream.has_room(128 * 128)
        assert not dream.has_room(128 * 128 + 1)


def test_a_dream_continues_alone_when_redis_goes_away(tmp_path, settings, toy, shared):
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


def test_what_no_helper_receives_disappears(settings, toy, shared):
    helper = HelperThread(settings, toy)
    helper.register()  # but it does not work
    with shared(settings, toy) as dream:
        dreamt(toy, helpers=dream)
    assert not keys_of_tiles(settings)
    with redis.Redis.from_url(settings.redis_url) as client:
        names = [tile_queue(name, "toy").name for name in (queue_of(NUMERICS, HOST), NUMERICS)]
        assert sum(map(client.llen, names)) > 0
        assert all(client.ttl(name) <= 120 for name in names)


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
