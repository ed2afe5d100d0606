"""Implements the Dreamer interface with TensorFlow: keeps networks in memory and runs the engine."""

import time
from collections import OrderedDict
from collections.abc import Collection
from contextlib import AbstractContextManager, nullcontext

import structlog

from shared.errors import DreamError, ModelCorrupt, ModelUnavailable
from shared.jobs.job import Job
from shared.params import DreamParams, FeatureMapsParams, Params, Target
from shared.settings import Settings
from worker.dream import engine, feature_maps, guide
from worker.dream.ascent import device
from worker.dream.ascent.gradient import Gradient, gradient_of
from worker.dream.ascent.helpers import Helpers
from worker.dream.ascent.host_ascent import KeepGradient
from worker.dream.ascent.tile_speed import TileSpeeds
from worker.dream.feature_maps import FeatureMaps
from worker.dream.gpu.device_steps import tile_step
from worker.dream.inputs import Inputs
from worker.dream.network import Network
from worker.dream.progress.observer import EngineObserver, ResumePoint
from worker.dream.report import Report
from worker.dream.types import Image
from worker.model_fetcher import ModelFetcher
from worker.monitoring import worker_metrics
from worker.networks import registry
from worker.sharing.shared_dream import SharedDream, ShareDream
from worker.tile_measurements import TileMeasurements

log = structlog.get_logger(__name__)


class TensorFlowDreamer:
    """Loads each network once and keeps it while memory allows, so that later jobs start without loading."""

    def __init__(self, settings: Settings, share: ShareDream | None = None) -> None:
        """Sets up the device. `share`: shares a dream with other workers; None to compute all of it here."""
        device.prepare(mixed_precision=settings.mixed_precision)
        device.set_memory_budget(settings.memory)
        self.device = device.describe()
        worker_metrics.DEVICE_MEMORY.set_function(device.taken_bytes)
        self._settings = settings
        self._share = share
        self._networks: OrderedDict[str, Network] = OrderedDict()  # least recently used first
        self._measurements = TileMeasurements(settings)
        self._speeds: dict[str, TileSpeeds | None] = {}
        self.fetcher = ModelFetcher(settings)

    def preload(self) -> None:
        """Loads the first available network, so that its first dream starts at once."""
        for name in self.fetcher.served():
            if name not in self.models():
                log.info("model_weights_missing", model=name)
        for name in self.models()[:1]:
            try:
                self.load(name)
            except DreamError as exc:
                log.warning("model_load_failed", model=name, code=exc.code, reason=str(exc))

    def models(self) -> tuple[str, ...]:
        """Returns the models whose weights are present and have the right checksum."""
        return self.fetcher.ready()

    def fetch(self, wanted: Collection[str]) -> None:
        """Fetches missing weights of these models if DREAM_FETCH_MODELS is on. Logs failures."""
        self.fetcher.fetch_on_demand(wanted)

    def load(self, model: str) -> None:
        if model in self._networks:
            self._networks.move_to_end(model)
            return
        begun, before_bytes = time.monotonic(), worker_metrics.resident_bytes() + device.taken_bytes()
        self._unload_for(registry.known(model).size_bytes)
        try:
            self._networks[model] = registry.load(model, self._settings.model_dir)
        except ModelCorrupt:
            self.fetcher.mark_broken(model)
            raise
        taken_bytes = worker_metrics.resident_bytes() + device.taken_bytes() - before_bytes
        worker_metrics.MODEL_MEMORY.labels(model).set(max(0, taken_bytes))
        if model not in self._speeds:
            self._speeds[model] = self._measurements.of(self._networks[model])
        log.info("model_loaded", model=model, seconds=round(time.monotonic() - begun, 2), bytes=taken_bytes)

    def choose_tile_size(self, params: DreamParams, height: int, width: int) -> int:
        return engine.choose_tile_size(self._network(params), params, height, width, self._speeds.get(params.model))

    def dream(
        self,
        image: Image,
        params: DreamParams,
        *,
        inputs: Inputs,
        keep_gradient: KeepGradient | None,
        observer: EngineObserver,
        resume: ResumePoint | None,
        helpers: Helpers | None = None,
    ) -> tuple[Image, Report]:
        return engine.dream(
            self._network(params),
            image,
            params,
            inputs=inputs,
            keep_gradient=keep_gradient,
            observer=observer,
            resume=resume,
            threads=self._settings.tile_threads,
            helpers=helpers,
        )

    def feature_maps(self, image: Image, params: FeatureMapsParams) -> FeatureMaps:
        return feature_maps.feature_maps(self._network(params), image, params)

    def share(self, job: Job, params: DreamParams, guide: Image | None) -> AbstractContextManager[SharedDream | None]:
        if self._share is None:
            return nullcontext()
        network, speeds = self._network(params), self._speeds.get(params.model)
        own_s_per_px = speeds.seconds_per_px(params.tile_size) if speeds and params.tile_size else None
        return self._share(job, params, weights_sha256=network.weights_sha256, guide=guide, own_s_per_px=own_s_per_px)

    def tile_gradient(
        self, model: str, weights_sha256: str, layers: tuple[Target, ...], guide: Image | None
    ) -> Gradient:
        """Returns a loaded network's gradient. Raises ModelUnavailable if its weights are not those."""
        network = self._networks[model]
        if network.weights_sha256 != weights_sha256:
            raise ModelUnavailable("This worker has other weights of that model than the dream's coordinator.")
        return engine.gradient_for(network, layers, guide)

    def _unload_for(self, size_bytes: int) -> None:
        """Unloads the least recently used networks until one of that size fits the memory budget."""
        held = {name: registry.known(name).size_bytes for name in self._networks}
        while self._networks and sum(held.values()) + size_bytes > self._settings.model_memory_bytes:
            unloaded, _ = self._networks.popitem(last=False)
            held.pop(unloaded)
            worker_metrics.MODEL_MEMORY.remove(unloaded)
            for compiled in (gradient_of, guide.compiled, tile_step):  # each compiled gradient holds its network
                compiled.cache_clear()
            log.info("model_unloaded", model=unloaded)

    def _network(self, params: Params) -> Network:
        if params.model not in self._networks:
            raise ModelUnavailable
        return self._networks[params.model]
