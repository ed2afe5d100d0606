"""Validates the committed OpenAPI document with other people's validators."""

import json

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.integration.openapi.conftest import HERE, run
from tools.openapi import COMMITTED

NODE_VALIDATORS = {
    "spectral": ("spectral", "lint", "--fail-severity", "hint", "--ruleset", HERE / "spectral.yaml"),
    "redocly": ("redocly", "lint", "--extends", "recommended", "--max-problems", "0"),
}


def test_openapi_spec_validator_accepts_the_document():
    OpenAPIV31SpecValidator(json.loads(COMMITTED.read_text())).validate()


@pytest.mark.parametrize("name", NODE_VALIDATORS)
def test_linters_find_no_error_and_no_warning(npm_packages, name):
    program, *arguments = NODE_VALIDATORS[name]

    said = run(npm_packages / "node_modules" / ".bin" / program, *arguments, COMMITTED, cwd=npm_packages)

    assert "warning" not in said.lower()
