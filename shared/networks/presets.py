"""Presets: parameters that work well together, by name; the field's classic recipes are among them."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

LITE0, GOOGLENET, INCEPTION5H, INCEPTIONV3 = "efficientnet-lite0", "googlenet", "inception5h", "inceptionv3"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Named parameters; those that are absent have their defaults."""

    name: str
    title: str
    sentence: str
    kind: Literal["look", "classic"] = "look"
    source: str | None = None  # where a classic comes from
    verified: bool = True  # False: chosen from published reports, never run by this project
    params: Mapping[str, Any] = field(default_factory=dict)


def _layer(name: str, *, weight: float = 1.0, channels: list[int] | None = None) -> dict[str, Any]:
    return {"layer": name, "weight": weight, "channels": channels}


def _lite0(name: str, title: str, sentence: str, *layers: dict[str, Any], **params: object) -> Preset:
    return Preset(name=name, title=title, sentence=sentence, params={"model": LITE0, "layers": [*layers], **params})


def _inception(name: str, title: str, sentence: str, *layers: dict[str, Any], **params: object) -> Preset:
    given = {"model": INCEPTION5H, "layers": [*layers], **params}
    return Preset(
        name=f"inception-{name}", title=f"{title} (Inception)", sentence=sentence, verified=False, params=given
    )


LOOKS = (
    _lite0(
        "animals",
        "Animals",
        "Dogs, bears and birds look out of every surface.",
        _layer("block11_expand"),
        iterations=20,
        step_size=3.0,
    ),
    _lite0(
        "creatures",
        "Creatures",
        "A few large heads, whole and close, made of whatever is there.",
        _layer("block10_expand"),
        iterations=20,
        step_size=2.5,
    ),
    _lite0(
        "eyes",
        "Eyes",
        "Eyes open everywhere, in fur and feathers that swirl around them.",
        _layer("block9"),
        iterations=14,
        step_size=2.2,
    ),
    _lite0(
        "cities",
        "Cities",
        "Streets and lit windows, as from above at dusk.",
        _layer("block8_expand"),
        iterations=12,
        step_size=2.5,
    ),
    _lite0(
        "woven",
        "Woven",
        "Everything is plaited from broad, shining bands.",
        _layer("block4_expand"),
        iterations=12,
        step_size=2.0,
    ),
    _lite0(
        "brushwork",
        "Brushwork",
        "Long strokes of a dry brush follow every shape.",
        _layer("block6_expand"),
        iterations=12,
        step_size=2.2,
    ),
    _lite0(
        "folds",
        "Folds",
        "Heavy silk with deep folds and bright ridges.",
        _layer("block2_expand"),
        iterations=8,
        step_size=2.0,
    ),
    _lite0(
        "machines",
        "Machines",
        "Masts, towers and engines grow in the distance.",
        _layer("block13_expand"),
        iterations=16,
        step_size=2.2,
    ),
    _lite0(
        "carnival",
        "Carnival",
        "The eyes again, with colors set free.",
        _layer("block9"),
        iterations=14,
        step_size=2.2,
        color="free",
    ),
    _lite0(
        "engraving",
        "Engraving",
        "Ribbed like an engraved plate, in the photograph's own colors.",
        _layer("block7_expand"),
        _layer("block4_expand", weight=0.3),
        iterations=12,
        step_size=2.4,
        color="original",
    ),
    _inception(
        "animals",
        "Animals",
        "The slugs, dogs and birds of 2015, in the network that they came from.",
        _layer("mixed4c"),
    ),
    _inception("eyes", "Eyes", "Eyes and snouts, dense and small.", _layer("mixed4b"), iterations=12, step_size=2.0),
    _inception("cities", "Cities", "Pagodas, arches and roofs.", _layer("mixed4d"), iterations=12, step_size=2.0),
    _inception("woven", "Woven", "Basketwork and honeycombs.", _layer("mixed3a"), iterations=10, step_size=2.0),
    _inception("brushwork", "Brushwork", "Spirals and strokes.", _layer("mixed3b"), iterations=10, step_size=2.0),
    _inception("folds", "Folds", "Fine ripples along every edge.", _layer("conv2d2"), iterations=8, step_size=2.0),
    _inception(
        "machines", "Machines", "Wheels, cars and instruments.", _layer("mixed4e"), iterations=14, step_size=2.0
    ),
)

_NOTEBOOK = "https://github.com/google/deepdream/blob/master/dream.ipynb"
_TENSORFLOW_NOTEBOOK = "https://github.com/tensorflow/examples/blob/master/community/en/r1/deepdream.ipynb"

CLASSICS = (
    Preset(
        name="google-2015",
        title="Google, 2015",
        sentence="The first recipe: 4 octaves of 1.4, 10 steps of 1.5 on inception_4c, which is mixed4c here. "
        "It scaled steps by the gradient's mean size and not by its spread, and let the details of one octave into "
        "the next; here `blend` does that.",
        kind="classic",
        source=_NOTEBOOK,
        verified=False,
        params={
            "model": INCEPTION5H,
            "layers": [_layer("mixed4c")],
            "octaves": 4,
            "octave_scale": 0.714,
            "iterations": 10,
            "step_size": 1.5,
            "jitter": 32,
            "color": "free",
        },
    ),
    Preset(
        name="flowers-139",
        title="Channel 139",
        sentence="Flowers, from a single channel: the one that TensorFlow's first notebook made famous.",
        kind="classic",
        source=_TENSORFLOW_NOTEBOOK,
        verified=False,
        params={
            "model": INCEPTION5H,
            "layers": [_layer("mixed4d_3x3_bottleneck_pre_relu", channels=[139])],
            "octaves": 4,
            "octave_scale": 0.714,
            "iterations": 10,
            "step_size": 1.5,
            "color": "free",
        },
    ),
    Preset(
        name="optimize-image",
        title="One octave",
        sentence="The plain dream: one octave, 10 steps of 6.0 on mixed3b.",
        kind="classic",
        verified=False,
        params={
            "model": INCEPTION5H,
            "layers": [_layer("mixed3b")],
            "octaves": 1,
            "iterations": 10,
            "step_size": 6.0,
        },
    ),
    Preset(
        name="recursive-optimize",
        title="Five octaves",
        sentence="Recursive: five octaves of 0.7, a fifth of the photograph back at each, 10 steps of 3.0 on mixed3b.",
        kind="classic",
        verified=False,
        params={
            "model": INCEPTION5H,
            "layers": [_layer("mixed3b")],
            "octaves": 5,
            "octave_scale": 0.7,
            "blend": 0.2,
            "iterations": 10,
            "step_size": 3.0,
        },
    ),
    Preset(
        name="tensorflow-tutorial",
        title="TensorFlow's tutorial",
        sentence="InceptionV3's mixed3 and mixed5, five octaves of 1.3, 100 steps each of 0.01 in -1..1, which is "
        "1.275 gray levels. It dreams at up to 1.69 times the size, then shrinks the result; here it stays.",
        kind="classic",
        source="https://www.tensorflow.org/tutorials/generative/deepdream",
        verified=False,
        params={
            "model": INCEPTIONV3,
            "layers": [_layer("mixed3"), _layer("mixed5")],
            "octaves": 5,
            "octave_scale": 0.769,
            "scale": 1.69,
            "blend": 0.0,
            "iterations": 100,
            "step_size": 1.275,
            "jitter": 512,
            "color": "free",
        },
    ),
    Preset(
        name="keras-example",
        title="Keras's example",
        sentence="InceptionV3's mixed4 to mixed7, the later the stronger; three octaves of 1.4, 20 steps of 0.01.",
        kind="classic",
        source="https://keras.io/examples/generative/deep_dream/",
        verified=False,
        params={
            "model": INCEPTIONV3,
            "layers": [_layer(f"mixed{4 + index}", weight=1 + index / 2) for index in range(4)],
            "octaves": 3,
            "octave_scale": 0.714,
            "iterations": 20,
            "step_size": 1.275,
            "color": "free",
        },
    ),
)

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
