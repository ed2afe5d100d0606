import pytest

from shared.networks import catalog
from shared.networks.presets import CLASSICS, LOOKS, PRESETS
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
    one, five = recipes["optimize-image"], recipes["recursive-optimize"]
    assert (one.octaves, one.step_size, one.layers[0].layer) == (1, 6.0, "mixed3b")
    assert (five.octaves, five.octave_scale, five.step_size, five.layers[0].layer) == (5, 0.7, 3.0, "mixed3b")
