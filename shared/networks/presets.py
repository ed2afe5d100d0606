"""Looks, and the field's classic recipes, by name: parameters that are known to go well together."""

from collections.abc import Collection

from shared.networks.looks import googlenet, inception5h, lite0
from shared.networks.looks.classics import CLASSICS
from shared.networks.looks.preset import GOOGLENET, INCEPTION5H, Preset

LOOKS = (*lite0.LOOKS, *googlenet.LOOKS, *inception5h.LOOKS)
PRESETS = (*LOOKS, *CLASSICS)
FAVORITES = (GOOGLENET, INCEPTION5H)  # their looks come first where a worker serves them


def in_order(served: Collection[str]) -> list[Preset]:
    """Returns the presets as they are shown: looks before classics, first those of a favorite network, then served.

    served: the models that live workers serve.
    """

    def rank(preset: Preset) -> tuple[bool, int]:
        model = preset.params["model"]
        if model not in served:
            return preset.kind == "classic", len(FAVORITES) + 1
        return preset.kind == "classic", FAVORITES.index(model) if model in FAVORITES else len(FAVORITES)

    return sorted(PRESETS, key=rank)
