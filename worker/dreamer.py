"""The networks in memory and the engine, as the runner uses them."""

import time

import structlog

from shared.catalog import MODELS
from shared.errors import DreamError, ModelUnavailable
from shared.params import DreamParams
from shared.settings import Settings
from worker.dream import device, engine
from worker.dream.network import Network
from worker.dream.report import Report
from worker.dream.watch import Image, ResumePoint, Watch
from worker.models import registry

log = structlog.get_logger(__name__)


class TensorFlowDreamer:
    """Loads each network once and keeps it: a later job for it starts without loading anything."""

    def __init__(self, settings: Settings) -> None:
        device.prepare()
        self.device = device.describe()
        self._settings = settings
        self._networks: dict[str, Network] = {}

    def preload(self) -> None:
        """Loads every network that this worker serves. One that can't be loaded is left out, and the log says why."""
        for name in self._settings.models or tuple(MODELS):
            try:
                self.load(name)
            except DreamError as exc:
                log.warning("model_not_served", model=name, code=exc.code, reason=str(exc))

    def models(self) -> tuple[str, ...]:
        return tuple(self._networks)

    def load(self, model: str) -> None:
        if model in self._networks:
            return
        begun = time.monotonic()
        self._networks[model] = registry.load(model, self._settings.model_dir)
        log.info("model_loaded", model=model, seconds=round(time.monotonic() - begun, 2))

    def choose_tile_size(self, params: DreamParams, height: int, width: int) -> int:
        return engine.choose_tile_size(self._network(params), params, height, width)

    def dream(
        self, image: Image, params: DreamParams, *, watch: Watch, resume: ResumePoint | None
    ) -> tuple[Image, Report]:
        threads = self._settings.tile_threads
        return engine.dream(self._network(params), image, params, watch=watch, resume=resume, threads=threads)

    def _network(self, params: DreamParams) -> Network:
        if params.model not in self._networks:
            raise ModelUnavailable
        return self._networks[params.model]
