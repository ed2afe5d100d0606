"""Fetches the weights of networks while the worker runs: for waiting jobs if allowed, and on an operator's request."""

import threading
import time
from collections.abc import Collection, Mapping
from dataclasses import replace
from functools import partial

import structlog

from shared.errors import DreamError
from shared.interfaces import WeightsFetch
from shared.networks import catalog
from shared.settings import Settings
from worker.background import BackgroundTask
from worker.fetch_weights import fetch
from worker.networks import registry

log = structlog.get_logger(__name__)

RETRY_S = 60.0  # after a failure: the server of the weights may need a moment


class ModelFetcher:
    """Knows which networks' weights are present or can be fetched, and fetches them one at a time."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._broken: set[str] = set()
        self._failed_at: dict[str, float] = {}
        self._handled: dict[str, str] = {}  # model -> the last request for it that was taken up
        self._background = BackgroundTask("fetch_weights")
        self._one_at_a_time = threading.Lock()  # the runner's thread fetches too
        self.current: WeightsFetch | None = None  # in progress, or the last one if it failed

    def served(self) -> tuple[str, ...]:
        """Returns the models that this worker may serve, with or without their weights."""
        return self._settings.models or tuple(catalog.MODELS)

    def ready(self) -> tuple[str, ...]:
        """Returns the models whose weights are present and have the right checksum."""
        present = (name for name in self.served() if registry.is_ready(name, self._settings.model_dir))
        return tuple(name for name in present if name not in self._broken)

    def fetchable(self) -> tuple[str, ...]:
        """Returns the models that lack weights and have an address to fetch them from."""
        models = (catalog.MODELS[name] for name in self.served() if name in catalog.MODELS)
        ready = self.ready()
        return tuple(model.name for model in models if model.is_fetchable and model.name not in ready)

    def mark_broken(self, model: str) -> None:
        """Stops offering the model until this worker restarts or fetches its weights."""
        self._broken.add(model)

    def fetch_on_demand(self, wanted: Collection[str]) -> None:
        """Fetches missing weights of these models if DREAM_FETCH_MODELS is on. Logs failures."""
        if not self._settings.fetch_models:
            return
        for name in sorted(set(wanted) & set(self.served()) - set(self.ready())):
            if time.monotonic() - self._failed_at.get(name, -RETRY_S) >= RETRY_S:
                self.fetch(name)

    def take_up(self, requests: Mapping[str, str]) -> None:
        """Starts to fetch the weights of a requested model on a background thread.

        requests: model -> request id; each request is taken up once.
        """
        for name, request in requests.items():
            if self._handled.get(name) != request and self._background.start(partial(self.fetch, name)):
                self._handled[name] = request

    @property
    def is_fetching(self) -> bool:
        return self.current is not None and self.current.error is None

    def fetch(self, name: str) -> None:
        """Fetches the model's weights and reports the progress in `current`. Logs failures and raises nothing."""
        with self._one_at_a_time:
            progress = self.current = WeightsFetch(model=name)

            def show(fetched_bytes: int, total_bytes: int | None) -> None:
                self.current = replace(progress, fetched_bytes=fetched_bytes, total_bytes=total_bytes)

            try:
                fetch(catalog.MODELS[name], self._settings, on_bytes=show)
            except DreamError as exc:
                self._failed_at[name] = time.monotonic()
                self.current = replace(progress, error=str(exc))
                log.warning("model_fetch_failed", model=name, code=exc.code, reason=str(exc))
            else:
                self._broken.discard(name)
                self.current = None
