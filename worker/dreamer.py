"""What an attempt needs of the networks and the engine. Tests bring a fake."""

from collections.abc import Collection
from typing import Protocol

from shared.params import DreamParams, FeatureMapsParams
from worker.dream.ascent import KeepGradient
from worker.dream.feature_maps import FeatureMaps
from worker.dream.inputs import Inputs
from worker.dream.observer import EngineObserver, ResumePoint
from worker.dream.report import Report
from worker.dream.types import Image


class Dreamer(Protocol):
    """The networks in memory and the engine."""

    def models(self) -> tuple[str, ...]:
        """The models that can be served right now."""

    def fetch(self, wanted: Collection[str]) -> None:
        """Fetches the weights of those that could be served if they were here. Raises nothing."""

    def load(self, model: str) -> None:
        """Puts the network in memory unless it is there. Raises ModelUnavailable, ModelCorrupt."""

    def choose_tile_size(self, params: DreamParams, height: int, width: int) -> int:
        """For this device."""

    def dream(
        self,
        image: Image,
        params: DreamParams,
        *,
        inputs: Inputs,
        keep_gradient: KeepGradient | None,
        observer: EngineObserver,
        resume: ResumePoint | None,
    ) -> tuple[Image, Report]:
        """See worker.dream.engine.dream."""

    def feature_maps(self, image: Image, params: FeatureMapsParams) -> FeatureMaps:
        """See worker.dream.feature_maps.feature_maps."""
