"""Looks of GoogLeNet, the network of 2015, found by looking at many layers on four photographs (docs/looks)."""

from typing import Any

from shared.networks.looks.preset import GOOGLENET, Preset, layer

# How google/deepdream climbed: sharp, with the details of one octave carried into the next.
SHARP: dict[str, Any] = {
    "octaves": 4,
    "octave_scale": 0.714,
    "jitter": 32,
    "normalize": "mean",
    "smooth": False,
    "detail": "carry",
    "color": "free",
}


def _look(
    name: str, title: str, sentence: str, node: str, *, channels: list[int] | None = None, **params: object
) -> Preset:
    given: dict[str, Any] = {"model": GOOGLENET, "layers": [layer(node, channels=channels)], **params}
    return Preset(name=f"googlenet-{name}", title=title, sentence=sentence, params=given)


LOOKS = (
    _look(
        "dogs",
        "Dogs",
        "Dogs' faces look out of everything that has two dark spots.",
        "inception_4a/output",
        iterations=12,
        step_size=2.5,
    ),
    _look(
        "castles",
        "Castles",
        "Towers, cars and heads of birds and dogs in the mist: the layer that made DeepDream famous.",
        "inception_4c/output",
        iterations=20,
        step_size=2.5,
    ),
    _look(
        "hounds",
        "Hounds",
        "Black and tan hounds, owls and lynxes: four channels, each of which knows one animal.",
        "inception_4d/output",
        channels=[40, 208, 360, 392],
        octaves=4,
        iterations=16,
        step_size=2.5,
    ),
    _look(
        "bubbles",
        "Bubbles",
        "Glass bubbles, silver balls and foam over everything: three channels.",
        "inception_4c/output",
        channels=[16, 32, 56],
        octaves=4,
        iterations=16,
        step_size=2.5,
    ),
    _look(
        "bells",
        "Bells",
        "Bells, bottles and bishops' miters rise from the ground and out of the clouds: three channels.",
        "inception_4c/output",
        channels=[152, 208, 264],
        octaves=4,
        iterations=16,
        step_size=2.5,
    ),
    _look(
        "cars",
        "Cars",
        "Windshields, bumpers and wheels: whatever has corners drives away. Three channels.",
        "inception_4c/output",
        channels=[160, 176, 440],
        octaves=4,
        iterations=16,
        step_size=2.5,
    ),
    _look(
        "fur",
        "Eyes and fur",
        "Spotted fur grows over everything, with an eye in each spot.",
        "inception_3b/output",
        iterations=12,
        step_size=2.5,
    ),
    _look(
        "carvings",
        "Carvings",
        "Carved and polished: scales, shells and rings follow every edge.",
        "inception_3a/output",
        iterations=12,
        step_size=2.5,
    ),
    _look(
        "facets",
        "Facets",
        "Woven from bright strips that meet at angles.",
        "conv2/3x3",
        iterations=10,
        step_size=2.0,
    ),
    _look(
        "muzzles",
        "Muzzles",
        "Soft animals with long muzzles and wet noses, half hidden in cloud.",
        "inception_4b/output",
        iterations=14,
        step_size=2.5,
    ),
    _look(
        "wings",
        "Wings",
        "Wings and glass domes in the sky, armored animals on the ground.",
        "inception_4d/output",
        iterations=16,
        step_size=2.5,
    ),
    _look(
        "lace",
        "Lace",
        "Umbrellas, nets and lace in the sky, coils on the ground.",
        "inception_4e/output",
        iterations=16,
        step_size=2.5,
    ),
    _look(
        "vessels",
        "Vessels",
        "Handles and spouts: buildings turn into kettles.",
        "inception_5a/output",
        iterations=16,
        step_size=2.5,
    ),
    _look(
        "peacock",
        "Peacock",
        "Fine feathers with eyes, and curls in every sky. The photograph stays recognizable.",
        "inception_3a/output",
        iterations=12,
        step_size=1.5,
        **SHARP,
    ),
    _look(
        "whiskers",
        "Whiskers",
        "Sharp hair, whiskers and bright eyes over a photograph that stays recognizable.",
        "inception_3b/output",
        iterations=14,
        step_size=1.5,
        **SHARP,
    ),
    _look(
        "dreamscape",
        "Dreamscape",
        "The recipe of 2015 taken further: spires, snouts and lanterns in sharp, free colors.",
        "inception_4c/output",
        iterations=30,
        step_size=1.5,
        **SHARP,
    ),
)
