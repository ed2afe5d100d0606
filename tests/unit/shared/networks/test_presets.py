import pytest

from shared.networks import catalog
from shared.networks.presets import CLASSICS, LOOKS, PRESETS, in_order
from shared.params import DreamParams


@pytest.mark.parametrize("preset", PRESETS, ids=lambda preset: preset.name)
def test_every_preset_is_a_job_that_would_be_accepted(preset):
    resolved = catalog.resolve(DreamParams.model_validate(preset.params))
    assert resolved.layers


def test_names_are_unique_and_no_look_is_said_to_be_a_classic():
    assert len({preset.name for preset in PRESETS}) == len(PRESETS)
    assert {preset.kind for preset in LOOKS} == {"look"}
    assert {preset.kind for preset in CLASSICS} == {"classic"}


def test_the_fields_numbers_are_kept():
    recipes = {preset.name: DreamParams.model_validate(preset.params) for preset in CLASSICS}
    google = recipes["google-2015"]
    assert (google.octaves, round(1 / google.octave_scale, 1), google.step_size) == (4, 1.4, 1.5)
    assert (google.normalize, google.jitter, google.detail, google.layers[0].layer) == (
        "mean",
        32,
        "carry",
        "inception_4c/output",
    )
    one, five = recipes["optimize-image"], recipes["recursive-optimize"]
    assert (one.octaves, one.step_size, one.layers[0].layer) == (1, 6.0, "inception_3b/output")
    assert (five.octaves, five.octave_scale, five.step_size, five.blend) == (5, 0.7, 3.0, 0.2)
    assert five.layers[0].layer == "inception_3b/output"


def test_googlenet_has_at_least_ten_looks():
    models = [preset.params["model"] for preset in LOOKS]

    assert models.count("googlenet") >= 10


def test_looks_of_the_favorite_networks_come_first_where_they_are_served():
    def order(*served):
        looks = [preset for preset in in_order(set(served)) if preset.kind == "look"]
        return list(dict.fromkeys(look.params["model"] for look in looks))

    assert order("googlenet", "efficientnet-lite0") == ["googlenet", "efficientnet-lite0", "inception5h"]
    assert order("efficientnet-lite0") == ["efficientnet-lite0", "googlenet", "inception5h"]
