"""Defines the interface between an attempt and the engine. Tests implement it with a fake."""

from collections.abc import Collection
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from shared.jobs.job import Job
from shared.params import DreamParams, FeatureMapsParams
from worker.dream.ascent.helpers import Helpers
from worker.dream.ascent.host_ascent import KeepGradient
from worker.dream.feature_maps import FeatureMaps
from worker.dream.inputs import Inputs
from worker.dream.progress.observer import EngineObserver, ResumePoint
from worker.dream.report import Report
from worker.dream.types import Image

if TYPE_CHECKING:
    from worker.sharing.shared_dream import SharedDream


class Dreamer(Protocol):
    """The networks in memory and the engine."""

    def models(self) -> tuple[str, ...]:
        """Returns the models that can be served right now."""

    def fetch(self, wanted: Collection[str]) -> None:
        """Fetches missing weights of these models, as far as this worker may serve them. Raises nothing."""

    def load(self, model: str) -> None:
        """Loads the network into memory if needed. Raises ModelUnavailable or ModelCorrupt."""

    def share(self, job: Job, params: DreamParams, guide: Image | None) -> AbstractContextManager["SharedDream | None"]:
        """Returns what gives `dream` helpers while it is entered; None if this worker does not share dreams."""

    def choose_tile_size(self, params: DreamParams, height: int, width: int) -> int:
        """Returns the tile size, pixels, that suits this device and image."""

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
        """Dreams; see worker.dream.engine.dream."""

    def feature_maps(self, image: Image, params: FeatureMapsParams) -> FeatureMaps:
        """Computes feature maps; see worker.dream.feature_maps.feature_maps."""
