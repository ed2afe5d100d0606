"""Every parameter of a dream has an option."""

import pytest

from shared.params import DreamParams, Target
from tests.unit.api.cli.conftest import register

USAGE = 2
GIVEN = {
    "model": "vgg16",
    "octaves": 2,
    "octave_scale": 0.5,
    "blend": 0.25,
    "detail": "carry",
    "iterations": 3,
    "step_size": 1.5,
    "normalize": "mean",
    "smooth": False,
    "color": "free",
    "brightness_lock": True,
    "strength": 0.5,
    "jitter": 7,
    "seed": 9,
    "tile_size": 256,
    "scale": 1.5,
    "long_side": 640,
    "format": "webp",
    "keep_gradients": True,
}


def submitted(dream, world, *arguments):
    code, _, err = dream("submit", "photo.jpg", *arguments)
    assert code == 0, err
    (job,) = world.store.jobs.values()
    return job.params


def test_the_examples_cover_every_parameter():
    assert GIVEN.keys() | {"layers"} == DreamParams.model_fields.keys()
    assert Target.model_fields.keys() == {"layer", "channels", "weight"}  # the options that stand for `layers`


@pytest.mark.slow
@pytest.mark.parametrize("name", GIVEN)
def test_every_parameter_has_an_option(dream, server, world, name):
    server.ends_as = None
    register(world, models=("efficientnet-lite0", "vgg16"))
    option = ("--no-" if GIVEN[name] is False else "--") + name.replace("_", "-")

    params = submitted(dream, world, option, *([] if isinstance(GIVEN[name], bool) else [str(GIVEN[name])]))

    assert getattr(params, name) == GIVEN[name]


def test_options_that_are_not_given_are_not_sent(dream, world):
    assert submitted(dream, world, "--layer", "block9").model_dump(exclude={"layers", "jitter"}) == (
        DreamParams().model_dump(exclude={"layers", "jitter"})
    )


def test_a_switch_can_turn_off_what_the_parameter_file_turns_on(dream, world, tmp_path):
    (tmp_path / "params.json").write_text('{"brightness_lock": true}')

    assert not submitted(dream, world, "--params", "params.json", "--no-brightness-lock").brightness_lock


def test_channels_and_weights_belong_to_the_layers_in_order(dream, world):
    layers = ["--layer", "block9", "--layer", "block3", "--channels", "all", "--channels", "1,4-6", "--weight", "-2"]

    assert submitted(dream, world, *layers).layers == (
        Target(layer="block9", weight=-2),
        Target(layer="block3", channels=(1, 4, 5, 6)),
    )


@pytest.mark.parametrize(("look", "layer"), [([], "block11_expand"), (["--look", "eyes"], "block9")])
def test_channels_alone_are_of_the_looks_or_the_default_layer(dream, world, look, layer):
    (target,) = submitted(dream, world, "--channels", "3", *look).layers

    assert (target.layer, target.channels) == (layer, (3,))


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--layer", "block9", "--channels", "1", "--channels", "2"], "--channels is given 2 times for 1 layer."),
        (["--channels", "one"], "not 'one'"),
        (["--channels", "9-4"], "not '9-4'"),
        (["--format", "gif"], "gif"),
    ],
)
def test_what_no_server_could_accept_is_a_usage_error(dream, world, arguments, reason):
    code, _, err = dream("submit", "photo.jpg", *arguments)

    assert (code, reason in err, world.store.jobs) == (USAGE, True, {})
