"""Tests that the page of settings is current and complete."""

import pytest

from shared.settings import Settings
from tools import configuration_docs


def test_the_page_is_current():
    assert configuration_docs.PAGE.read_text() == configuration_docs.page(), "Run `make docs`."


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_has_a_meaning_in_the_page(name):
    assert Settings.model_fields[name].description
    assert f"| `DREAM_{name.upper()}` |" in configuration_docs.page()


def test_limits_choices_and_secrets_are_listed():
    rows = {row.split("`")[1]: row for row in configuration_docs.page().splitlines() if row.startswith("| `")}

    assert "At least 1 and at most 600." in rows["DREAM_LEASE_S"]
    assert "One of `wait`, `fail`." in rows["DREAM_STORAGE_FULL"]
    assert "A secret" in rows["DREAM_S3_SECRET_KEY"]
