"""Tests names in the catalog: the valid ones, and suggestions for others."""

import pytest
from pydantic import ValidationError

from shared.errors import InvalidField
from shared.networks import catalog
from shared.params import DreamParams, FeatureMapsParams
from shared.settings import Settings


def refused(action, *args, **kwargs):
    with pytest.raises(InvalidField) as caught:
        action(*args, **kwargs)
    return caught.value


def test_defaults_are_filled_in():
    params = catalog.resolve(DreamParams())
    assert (params.layers[0].layer, params.jitter) == ("block11_expand", 16)


@pytest.mark.parametrize(
    ("params", "path", "suggestion"),
    [
        ({"model": "InceptionV4"}, "params.model", "inceptionv3"),
        ({"model": "vgg61"}, "params.model", "vgg19"),
        (
            {"layers": [{"layer": "block11_expand"}, {"layer": "Block9_expandd"}]},
            "params.layers.1.layer",
            "block9_expand",
        ),
        ({"layers": [{"layer": "block9", "channels": [3, 112]}]}, "params.layers.0.channels.1", "111"),
        ({"model": "vgg16", "layers": [{"layer": "block4_conv9"}]}, "params.layers.0.layer", "block4_conv3"),
    ],
)
def test_a_bad_name_or_channel_is_refused_with_its_path_and_the_nearest_one(params, path, suggestion):
    error = refused(catalog.resolve, DreamParams.model_validate(params), path="params.")
    assert (error.path, error.suggestion) == (path, suggestion)


def test_a_layer_of_another_model_is_said_to_be_one():
    error = refused(catalog.resolve, DreamParams(layers=[{"layer": "mixed4c"}]))
    assert "it is a layer of inception5h, but the model is efficientnet-lite0" in str(error)


def test_a_refusal_that_lists_names_says_how_many_more_there_are():
    layers = [layer.name for layer in catalog.model("efficientnet-lite0").layers]

    error = refused(catalog.resolve, DreamParams(layers=[{"layer": "zzz"}]))

    assert f", {layers[19]} and {len(layers) - 20} more" in str(error)
    assert str(refused(catalog.model, "?")).endswith(f", {list(catalog.MODELS)[-1]}")


def test_weights_may_be_negative_but_not_all_nothing():
    catalog.resolve(DreamParams(layers=[{"layer": "block9", "weight": -2}]))
    error = refused(catalog.resolve, DreamParams(layers=[{"layer": "block9", "weight": 0}]))
    assert error.path == "layers.0.weight"


def test_feature_maps_are_resolved_and_checked_likewise():
    assert catalog.resolve_maps(FeatureMapsParams(layer="block0", count=200)).count == 16
    assert refused(catalog.resolve_maps, FeatureMapsParams(layer="block99_expand")).suggestion == "block9_expand"
    assert refused(catalog.resolve_maps, FeatureMapsParams(layer="block9", channels=(500,))).path == "channels.0"


@pytest.mark.parametrize(
    ("params", "size", "path", "suggestion"),
    [
        ({"scale": 3}, (1000, 1000), "params.scale", "2"),
        ({"long_side": 3000}, (1000, 2000), "params.long_side", "2828"),
        ({"format": "webp", "long_side": 20_000}, (10, 1000), "params.format", "png"),
    ],
)
def test_an_enlargement_past_the_limit_is_refused_with_the_largest_that_fits(params, size, path, suggestion):
    error = refused(catalog.check_size, DreamParams(**params), *size, max_pixels=4_000_000, path="params.")
    assert (error.path, error.suggestion) == (path, suggestion)


@pytest.mark.parametrize(
    ("params", "size"), [({}, (300, 400)), ({"scale": 1.5}, (450, 600)), ({"long_side": 800}, (600, 800))]
)
def test_a_dream_has_the_size_that_was_asked_for(params, size):
    assert DreamParams(**params).size(300, 400) == size


@pytest.mark.parametrize(
    "wrong", [{"scale": 2, "long_side": 100}, {"color": "both"}, {"strength": 0}, {"format": "gif"}]
)
def test_contradictions_and_unknown_choices_are_refused(wrong):
    with pytest.raises(ValidationError):
        DreamParams(**wrong)


def test_the_work_of_a_dream_is_its_pixels_times_iterations_over_all_octaves():
    assert catalog.work(DreamParams(octaves=1, iterations=7), 100, 200) == 7 * 100 * 200
    assert catalog.work(DreamParams(octaves=2, octave_scale=0.5, iterations=7), 200, 400) == 7 * (200 * 400 + 100 * 200)


def test_a_dream_of_months_is_refused_with_what_it_would_take():
    params = DreamParams(octaves=16, octave_scale=0.99, iterations=1000)

    error = refused(catalog.check_work, params, 10_000, 12_000, max_work=10**11, path="params.")

    assert error.path == "params.iterations"
    assert f"{catalog.work(params, 10_000, 12_000):,}" in str(error)
    catalog.check_work(params.model_copy(update={"iterations": int(error.suggestion)}), 10_000, 12_000, max_work=10**11)


def test_a_dream_whose_single_iteration_is_too_much_has_no_suggestion():
    error = refused(catalog.check_work, DreamParams(), 10_000, 12_000, max_work=1000)

    assert error.suggestion is None
    assert "smaller" in str(error)


def test_the_largest_photograph_can_be_dreamed_on_with_the_defaults():
    catalog.check_work(DreamParams(), 10_000, 12_000, max_work=Settings().max_work)
