"""The field's classic recipes, as their sources give them."""

from shared.networks.looks.googlenet import SHARP
from shared.networks.looks.preset import GOOGLENET, INCEPTION5H, INCEPTIONV3, Preset, layer

_NOTEBOOK = "https://github.com/google/deepdream/blob/master/dream.ipynb"
_TENSORFLOW_NOTEBOOK = "https://github.com/tensorflow/examples/blob/master/community/en/r1/deepdream.ipynb"

CLASSICS = (
    Preset(
        name="google-2015",
        title="Google, 2015",
        sentence="google/deepdream's own loop: inception_4c, 4 octaves of 1.4, 10 steps of 1.5 over the mean "
        "size of the gradient, jitter of 32 pixels, details carried from octave to octave.",
        kind="classic",
        source=_NOTEBOOK,
        params={
            "model": GOOGLENET,
            "layers": [layer("inception_4c/output")],
            "iterations": 10,
            "step_size": 1.5,
            **SHARP,
        },
    ),
    Preset(
        name="google-2015-3b",
        title="Google, 2015: 3b",
        sentence="The same loop at inception_3b/5x5_reduce, the other layer that the notebook shows.",
        kind="classic",
        source=_NOTEBOOK,
        params={
            "model": GOOGLENET,
            "layers": [layer("inception_3b/5x5_reduce")],
            "iterations": 10,
            "step_size": 1.5,
            **SHARP,
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
            "layers": [layer("mixed4d_3x3_bottleneck_pre_relu", channels=[139])],
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
        sentence="The plain dream: one octave, 10 steps of 6.0 on inception_3b.",
        kind="classic",
        params={
            "model": GOOGLENET,
            "layers": [layer("inception_3b/output")],
            "octaves": 1,
            "iterations": 10,
            "step_size": 6.0,
        },
    ),
    Preset(
        name="recursive-optimize",
        title="Five octaves",
        sentence="Recursive: five octaves of 0.7, a fifth of the photograph back at each, 10 steps of 3.0 on "
        "inception_3b.",
        kind="classic",
        params={
            "model": GOOGLENET,
            "layers": [layer("inception_3b/output")],
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
            "layers": [layer("mixed3"), layer("mixed5")],
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
            "layers": [layer(f"mixed{4 + index}", weight=1 + index / 2) for index in range(4)],
            "octaves": 3,
            "octave_scale": 0.714,
            "iterations": 20,
            "step_size": 1.275,
            "color": "free",
        },
    ),
)
