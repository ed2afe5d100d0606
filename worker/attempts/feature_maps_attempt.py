"""Runs one attempt at a job of kind `feature_maps`, which is short and therefore has no checkpoints."""

from collections.abc import Collection
from typing import cast

from shared.params import FeatureMapsParams
from worker.attempts.attempt import STALL_DREAM_S, STALL_LOAD_S, STALL_STORE_S, Attempt


class FeatureMapsAttempt(Attempt):
    """An attempt that draws feature maps instead of dreaming."""

    def run(self, kept: Collection[str]) -> None:  # noqa: ARG002 - feature maps have no checkpoints
        params = cast(FeatureMapsParams, self._job.params)
        self._lease.enter("load", stall_s=STALL_LOAD_S)
        self._dreamer.load(params.model)
        image = self._fetch_image()
        self._alpha = None  # of the photograph, not of the maps
        self._lease.enter("maps", stall_s=STALL_DREAM_S)
        made = self._dreamer.feature_maps(image, params)
        self._lease.enter("store", stall_s=STALL_STORE_S)
        self.patiently(lambda: self._outputs.put("maps.npz", made.numbers, "application/octet-stream"))
        self._store_outputs(made.picture, "png", made.report)
