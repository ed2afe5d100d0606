"""Computes tiles of other workers' dreams, one Celery task per tile, while this worker has no job."""

import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import structlog
from pydantic import ValidationError

from shared.errors import DreamError
from worker.attempts.tensorflow_dreamer import TensorFlowDreamer
from worker.dream.ascent.gradient import Gradient
from worker.dream.ascent.memory import OUT_OF_MEMORY
from worker.dream.ascent.tile_run import core_gradient
from worker.dream.types import Image
from worker.monitoring import worker_metrics
from worker.sharing.messages import TileAnswer, TileRequest
from worker.sharing.tile_exchange import TileExchange

log = structlog.get_logger(__name__)

STALL_S = 600.0  # a tile takes seconds; a hung one can't be ended from inside its process


class TileHelper:
    """Computes one tile at a time. Jobs come first."""

    def __init__(
        self,
        *,
        name: str,
        dreamer: TensorFlowDreamer,
        exchange: TileExchange,
        run_next: Callable[[], bool],
        drain: threading.Event,
    ) -> None:
        self._name = name
        self._dreamer = dreamer
        self._exchange = exchange
        self._run_next = run_next
        self._drain = drain
        self._guided: tuple[tuple[str, str], Gradient] | None = None  # of the last attempt with a guide
        self._sender = ThreadPoolExecutor(1, thread_name_prefix="answer_tile")
        self._answering: Future[None] | None = None

    def help(self, message: object) -> None:
        """Runs a waiting job if there is one; otherwise computes the tile, unless its coordinator has withdrawn it.

        Raises StoreUnavailable. The coordinator computes what is not answered.
        """
        if self._drain.is_set():
            return
        if self._run_next():
            self._guided = None  # frees its network
            return
        try:
            request = TileRequest.model_validate(message)
        except ValidationError:
            log.warning("tile_request_unreadable")  # of another version
            return
        watchdog = threading.Timer(STALL_S, os.kill, (os.getpid(), signal.SIGKILL))
        watchdog.daemon = True
        watchdog.start()
        try:
            self._compute(request)
        finally:
            watchdog.cancel()

    def _compute(self, request: TileRequest) -> None:
        gradient = self._gradient(request)
        if gradient is None:  # the window stays where it is, so its coordinator can withdraw it
            return
        began_s = time.monotonic()
        answer = TileAnswer(number=request.number, worker=self._name)
        try:
            window = self._exchange.take(request)
        except (OSError, ValueError) as exc:
            log.warning("tile_not_received", job_id=request.job_id, reason=str(exc))
            self._answer(request, answer.model_copy(update={"failure": "receive"}))
            return
        if window is None:
            return
        taken_s = time.monotonic()
        try:
            core = core_gradient(gradient, window, request.core_slices)
        except OUT_OF_MEMORY as exc:
            log.warning("tile_failed", job_id=request.job_id, reason=type(exc).__name__)
            self._answer(request, answer.model_copy(update={"failure": "compute"}))
            return
        times = {"take_s": taken_s - began_s, "compute_s": time.monotonic() - taken_s}
        answer = answer.model_copy(update={"std": core.std, **times})
        self._answer(request, answer, core.gradient)

    def _answer(self, request: TileRequest, answer: TileAnswer, core: Image | None = None) -> None:
        """Sends an answer on a thread of its own, so that the next tile can be received meanwhile; one at a time."""
        if self._answering is not None:
            self._answering.result()
        self._answering = self._sender.submit(self._send, request, answer, core)
        if self._drain.is_set():  # this process is about to end
            self._answering.result()

    def _send(self, request: TileRequest, answer: TileAnswer, core: Image | None) -> None:
        try:
            self._exchange.answer(request, answer, core)
        except (DreamError, OSError) as exc:  # Redis, or the coordinator's memory, is gone
            log.warning("tile_failed", job_id=request.job_id, reason=str(exc))
        except Exception:  # no error of this answer may hold up the next ones
            log.exception("tile_failed", job_id=request.job_id)
        else:
            if core is not None:
                worker_metrics.TILES_FOR_OTHERS.inc()

    def _gradient(self, request: TileRequest) -> Gradient | None:
        """Returns the objective's gradient; None if this worker can't compute it."""
        attempt = (request.job_id, request.claim)
        if request.guide is not None and self._guided is not None and self._guided[0] == attempt:
            return self._guided[1]
        guide = self._exchange.guide(request)
        if guide is None and request.guide is not None:
            return None
        try:
            self._dreamer.load(request.model)
            gradient = self._dreamer.tile_gradient(request.model, request.weights_sha256, request.layers, guide)
        except DreamError as exc:
            log.warning("tile_refused", job_id=request.job_id, reason=str(exc))
            return None
        self._guided = (attempt, gradient) if guide is not None else None
        return gradient
