"""One attempt at a job of the kind `feature_maps`: short, so that it has no checkpoints."""

from collections.abc import Collection
from typing import cast

from shared.params import FeatureMapsParams
from worker.attempt import STALL_DREAM_S, STALL_LOAD_S, STALL_STORE_S, Attempt


class FeatureMapsAttempt(Attempt):
    """Fetches and stores as a dream's attempt does."""

    def run(self, kept: Collection[str]) -> None:  # noqa: ARG002 - there is no checkpoint among them
        params = cast(FeatureMapsParams, self._job.params)
        self._lease.enter("load", stall_s=STALL_LOAD_S)
        self._dreamer.load(params.model)
        image = self._fetch("image")
        self._lease.enter("maps", stall_s=STALL_DREAM_S)
        made = self._dreamer.feature_maps(image, params)
        self._lease.enter("store", stall_s=STALL_STORE_S)
        self.patiently(lambda: self._put("maps.npz", made.numbers, "application/octet-stream"))
        self._store_outputs(made.picture, "png", made.report)
