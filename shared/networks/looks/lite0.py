"""Looks of EfficientNet-Lite0, which every installation has."""

from typing import Any

from shared.networks.looks.preset import LITE0, Preset, layer


def _look(name: str, title: str, sentence: str, *layers: dict[str, Any], **params: object) -> Preset:
    return Preset(name=name, title=title, sentence=sentence, params={"model": LITE0, "layers": [*layers], **params})


LOOKS = (
    _look(
        "animals",
        "Animals",
        "Dogs, bears and birds look out of every surface of a photograph that stays recognizable.",
        layer("block11_expand"),
        iterations=12,
        step_size=2.5,
        detail="carry",
    ),
    _look(
        "creatures",
        "Creatures",
        "A few large heads, whole and close, made of whatever is there.",
        layer("block10_expand"),
        iterations=20,
        step_size=2.5,
    ),
    _look(
        "eyes",
        "Eyes",
        "Eyes open everywhere, in fur and feathers that swirl around them.",
        layer("block9"),
        iterations=14,
        step_size=2.2,
    ),
    _look(
        "cities",
        "Cities",
        "Streets and lit windows, as from above at dusk.",
        layer("block8_expand"),
        iterations=12,
        step_size=2.5,
    ),
    _look(
        "woven",
        "Woven",
        "Everything is plaited from broad, shining bands.",
        layer("block4_expand"),
        iterations=12,
        step_size=2.0,
    ),
    _look(
        "brushwork",
        "Brushwork",
        "Long strokes of a dry brush follow every shape.",
        layer("block6_expand"),
        iterations=12,
        step_size=2.2,
    ),
    _look(
        "folds",
        "Folds",
        "Heavy silk with deep folds and bright ridges.",
        layer("block2_expand"),
        iterations=8,
        step_size=2.0,
    ),
    _look(
        "machines",
        "Machines",
        "Masts, towers and engines grow in the distance.",
        layer("block13_expand"),
        iterations=16,
        step_size=2.2,
    ),
    _look(
        "carnival",
        "Carnival",
        "The eyes again, with colors set free.",
        layer("block9"),
        iterations=14,
        step_size=2.2,
        color="free",
    ),
    _look(
        "engraving",
        "Engraving",
        "Ribbed like an engraved plate, in the photograph's own colors.",
        layer("block7_expand"),
        layer("block4_expand", weight=0.3),
        iterations=12,
        step_size=2.4,
        color="original",
    ),
)
