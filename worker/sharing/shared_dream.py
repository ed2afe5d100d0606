"""Shares one attempt's dream: finds idle workers, sends them windows, and receives the gradients of the cores."""

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from types import TracebackType
from typing import Protocol

import numpy as np
import structlog

from shared.errors import DreamError, StoreUnavailable
from shared.interfaces import JobStore
from shared.jobs.job import Job
from shared.params import DreamParams
from shared.settings import Settings
from worker.dream.ascent.helpers import CoreGradient
from worker.dream.tiles.tiling import Tile
from worker.dream.types import Image
from worker.monitoring import worker_metrics
from worker.sharing.host import queue_of
from worker.sharing.messages import BYTES_PER_PX, TileAnswer, TileRequest
from worker.sharing.route import Route
from worker.sharing.shared_memory import TileMemory
from worker.sharing.tile_exchange import TileExchange

log = structlog.get_logger(__name__)

FIRST_SEARCH_S = 0.25  # how long tiles wait for the first search, which takes milliseconds
SEARCH_EVERY_S = 2.0  # for idle workers; also the pause after Redis was unavailable
WINDOWS_PER_HELPER = 2  # one to compute, and one that is there when it is done


class ShareDream(Protocol):
    """Creates a shared dream. The worker's child binds the other arguments of SharedDream."""

    def __call__(
        self, job: Job, params: DreamParams, *, weights_sha256: str, guide: Image | None, own_s_per_px: float | None
    ) -> "SharedDream": ...


class SharedDream:
    """Implements Helpers for one attempt. Use it as a context manager around the dream."""

    def __init__(  # noqa: PLR0913 - the attempt, and the worker that runs it
        self,
        job: Job,
        params: DreamParams,
        *,
        weights_sha256: str,
        guide: Image | None,
        own_s_per_px: float | None,
        store: JobStore,
        exchange: TileExchange,
        numerics: str,
        host: str,
        settings: Settings,
    ) -> None:
        """own_s_per_px: how long this worker needs for a pixel of a window, if that has been measured."""
        self._job_id, self._claim = job.id, job.claim or ""
        self._fields = {
            "job_id": self._job_id,
            "claim": self._claim,
            "model": params.model,
            "weights_sha256": weights_sha256,
            "layers": params.layers or (),
            "guide": guide.shape[:2] if guide is not None else None,
        }
        self._model, self._guide = params.model, guide
        self._store, self._exchange, self._numerics = store, exchange, numerics
        self._name, self._share_bytes = settings.worker_name, settings.share_bytes
        self._host = host
        self._near = Route(queue_of(numerics, host), own_s_per_px, through_memory=True)
        self._far = Route(numerics, own_s_per_px, through_memory=False)
        self._route: Route | None = None  # by which the next window is sent
        self._lock = threading.Lock()
        self._sent: dict[Future[CoreGradient | None], _Sent] = {}
        self._number = 0
        self._ended, self._has_searched = threading.Event(), threading.Event()
        self._senders = ThreadPoolExecutor(1, thread_name_prefix="send_tile")  # the first window arrives soonest
        self._threads: list[threading.Thread] = []
        self.tiles: Counter[str] = Counter()  # computed by helpers, by worker

    def __enter__(self) -> "SharedDream":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self.abandon()
        self._senders.shutdown(wait=True, cancel_futures=True)
        self._near.close()
        if self._threads:
            with suppress(DreamError):
                self._exchange.close(self._job_id, self._claim)
        if self.tiles:
            log.info("tiles_computed_by_helpers", helpers=dict(self.tiles))

    # --- called by the engine ---

    def has_room(self, window_px: int) -> bool:
        if not self._threads:  # here and not earlier, because most dreams never have a tile to give away
            self._start(self._keep_searching, "search_helpers")
            self._start(self._receive_answers, "receive_tiles")
            self._has_searched.wait(FIRST_SEARCH_S)
        self._route = self._open_route(window_px)
        return self._route is not None

    def _open_route(self, window_px: int) -> Route | None:
        """Returns a route by which such a window may be sent now, and saves time."""
        with self._lock:
            waiting = list(self._sent.values())
        in_flight_bytes = sum(sent.request.total_bytes for sent in waiting) + 2 * window_px * BYTES_PER_PX
        if in_flight_bytes > self._share_bytes:
            return None
        for route in (self._near, self._far):
            has_room = sum(sent.route is route for sent in waiting) < WINDOWS_PER_HELPER * route.helpers
            if has_room and route.pace.gains():
                return route
        return None

    def submit(self, tile: Tile, window: Callable[[], Image]) -> "Future[CoreGradient | None]":
        future: Future[CoreGradient | None] = Future()
        route = self._route or self._far  # as `has_room` has found it: asked again, Pace does not offer a second probe
        memory = route.memory(tile.window_px * BYTES_PER_PX)
        with self._lock:
            self._number += 1
            address = None if memory is None else memory.address
            request = TileRequest.of(tile, number=self._number, memory=address, **self._fields)
            sent = _Sent(request, route, memory)
            self._sent[future] = sent
            sent.sending = self._senders.submit(self._send, sent, window)
        return future

    def is_overdue(self, future: "Future[CoreGradient | None]") -> bool:
        with self._lock:
            sent = self._sent.get(future)
        return sent is not None and sent.sending.done() and self._is_overdue(sent)

    def take_back(self, future: "Future[CoreGradient | None]") -> bool:
        with self._lock:
            sent = self._sent.get(future)
        if sent is None:  # its answer has just arrived
            return False
        is_withdrawn = self._withdrawn(sent)
        if not is_withdrawn:
            if not self._is_overdue(sent):
                return False
            sent.route.pace.overdue(sent.request.window_px, time.monotonic() - sent.sent_at)
        with self._lock:
            is_ours = self._sent.pop(future, None) is not None
        if is_ours and is_withdrawn:
            sent.route.free(sent.memory)
        return is_ours

    def abandon(self) -> None:
        with self._lock:
            abandoned = list(self._sent.values())
            self._sent.clear()
        for sent in abandoned:
            self._withdrawn(sent)

    def tile_computed(self, window_px: int, seconds: float) -> None:
        for route in (self._near, self._far):
            route.pace.tile_computed(window_px, seconds)

    # --- on their own threads ---

    def _start(self, work: Callable[[], None], name: str) -> None:
        thread = threading.Thread(target=work, name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _keep_searching(self) -> None:
        while True:
            self._search()
            self._has_searched.set()
            if self._ended.wait(SEARCH_EVERY_S):
                return

    def _search(self) -> None:
        try:
            near, far = self._count_helpers()
            far = far if self._exchange.has_memory() else 0
            if (near or far) and self._guide is not None:
                self._exchange.send_guide(self._job_id, self._claim, self._guide)
            self._near.helpers, self._far.helpers = near, far  # last, because they need the guide
        except DreamError as exc:
            self._pause(exc)
        except Exception as exc:  # no error may end this thread: sharing would
            log.exception("helpers_unreadable")
            self._pause(exc)

    def _count_helpers(self) -> tuple[int, int]:
        """Returns how many idle workers can map this one's memory, and how many others there are."""
        idle = [
            worker
            for worker in self._store.workers()
            if worker.numerics == self._numerics
            and worker.job_id is None
            and self._model in worker.models
            and worker.name != self._name
        ]
        near = sum(worker.host == self._host for worker in idle) if self._host else 0
        return near, len(idle) - near

    def _pause(self, reason: Exception) -> None:
        log.warning("sharing_paused", reason=str(reason))
        self._near.helpers = self._far.helpers = 0  # until the next look succeeds

    def _send(self, sent: "_Sent", window: Callable[[], Image]) -> None:
        began_s, cost_began_s = time.monotonic(), time.thread_time()
        try:
            pixels = window()
            if sent.memory is not None:
                np.copyto(sent.memory.pixels(*sent.request.window), pixels)
            self._exchange.send(sent.request, pixels, sent.route.queue)
        except StoreUnavailable as exc:
            self._pause(exc)
        except Exception as exc:  # such as MemoryError; `abandon` must not raise it
            log.exception("tile_not_sent")
            self._pause(exc)
        sent.send_s, sent.cost_s = time.monotonic() - began_s, time.thread_time() - cost_began_s

    def _withdrawn(self, sent: "_Sent") -> bool:
        """Returns whether no helper has the window, which is then removed."""
        if sent.sending.cancel():
            return True
        sent.sending.result()
        if sent.is_taken:
            return False
        try:
            sent.is_taken = not self._exchange.withdraw(sent.request)
        except StoreUnavailable as exc:
            sent.memory = None  # a helper may have the window, and still write there
            self._pause(exc)
            return True
        return not sent.is_taken

    def _is_overdue(self, sent: "_Sent") -> bool:
        return time.monotonic() - sent.sent_at > sent.route.pace.patience_s(sent.request.window_px)

    def _receive_answers(self) -> None:
        while not self._ended.is_set():
            began_s = time.thread_time()
            try:
                answer = self._exchange.receive(self._job_id, self._claim)
                if answer is not None:
                    self._complete(answer, began_s)
            except DreamError as exc:
                self._pause(exc)
                self._ended.wait(SEARCH_EVERY_S)
            except ValueError as exc:  # of another version
                log.warning("tile_answer_unreadable", reason=str(exc))
            except Exception:  # or all tiles would become overdue from now on
                log.exception("tile_answer_failed")

    def _complete(self, answer: TileAnswer, began_s: float) -> None:
        """Fetches an answered tile. began_s: this thread's processor time before it received the answer."""
        with self._lock:
            future = next((f for f, sent in self._sent.items() if sent.request.number == answer.number), None)
            sent = self._sent.get(future) if future is not None else None
        if future is None or sent is None:  # the coordinator has computed the tile itself meanwhile
            return
        core = None
        if answer.failure is None:
            core = CoreGradient(self._core(sent), answer.std)
            sent.route.pace.answered(
                sent.request.window_px,
                cost_s=sent.cost_s + time.thread_time() - began_s,
                latency_s=2 * (sent.send_s + answer.take_s) + answer.compute_s,  # it travels back as it came
                turnaround_s=time.monotonic() - sent.sent_at,
            )
        else:
            if answer.failure == "receive" and sent.memory is not None:  # it could not map this worker's memory
                self._host = ""  # all helpers get their tiles through Redis from now on
            self._pause(DreamError(f"{answer.worker} could not {answer.failure} a tile."))
        with self._lock:
            if self._sent.pop(future, None) is None:  # taken back at this very moment
                return
        future.set_result(core)
        if core is not None:
            self.tiles[answer.worker] += 1
            worker_metrics.TILES_BY_HELPERS.inc()

    def _core(self, sent: "_Sent") -> Image:
        memory = sent.memory  # once, because `_withdrawn` may give it up meanwhile
        if memory is None:
            return self._exchange.core(sent.request)
        core = memory.pixels(*sent.request.core_shape)
        sent.route.free(memory, after=core)
        return core


class _Sent:
    """Tracks a request that is not complete."""

    def __init__(self, request: TileRequest, route: Route, memory: TileMemory | None) -> None:
        self.request, self.route, self.memory = request, route, memory
        self.sent_at = time.monotonic()
        self.send_s = 0.0  # to send it
        self.cost_s = 0.0  # the same, of the processor
        self.sending: Future[None]
        self.is_taken = False
