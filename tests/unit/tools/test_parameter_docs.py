"""Tests the page of parameters: it is current and explains every one."""

import pytest

from shared.params import DreamParams, FeatureMapsParams
from tools import parameter_docs


def test_the_page_is_current():
    assert parameter_docs.PAGE.read_text() == parameter_docs.page(), "Run `make docs`."


@pytest.mark.parametrize("model", [DreamParams, FeatureMapsParams])
def test_every_parameter_is_explained(model):
    for name, field in model.model_fields.items():
        assert field.description
        assert f"| `{name}` |" in parameter_docs.page()
