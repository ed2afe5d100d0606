"""Looks of Inception5h, chosen from published reports: its weights could not be had when they were written."""

from typing import Any

from shared.networks.looks.preset import INCEPTION5H, Preset, layer


def _look(name: str, title: str, sentence: str, *layers: dict[str, Any], **params: object) -> Preset:
    given = {"model": INCEPTION5H, "layers": [*layers], **params}
    return Preset(
        name=f"inception-{name}", title=f"{title} (Inception)", sentence=sentence, verified=False, params=given
    )


LOOKS = (
    _look(
        "animals",
        "Animals",
        "The slugs, dogs and birds of 2015, in the network that they came from.",
        layer("mixed4c"),
    ),
    _look("eyes", "Eyes", "Eyes and snouts, dense and small.", layer("mixed4b"), iterations=12, step_size=2.0),
    _look("cities", "Cities", "Pagodas, arches and roofs.", layer("mixed4d"), iterations=12, step_size=2.0),
    _look("woven", "Woven", "Basketwork and honeycombs.", layer("mixed3a"), iterations=10, step_size=2.0),
    _look("brushwork", "Brushwork", "Spirals and strokes.", layer("mixed3b"), iterations=10, step_size=2.0),
    _look("folds", "Folds", "Fine ripples along every edge.", layer("conv2d2"), iterations=8, step_size=2.0),
    _look("machines", "Machines", "Wheels, cars and instruments.", layer("mixed4e"), iterations=14, step_size=2.0),
)
