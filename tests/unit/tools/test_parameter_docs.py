"""The README says what the code does."""

import re

import pytest

from deploy.local.process import ROOT
from shared.params import DreamParams
from tools import parameter_docs

TEXT = parameter_docs.README.read_text()


def test_the_table_of_parameters_is_current():
    assert parameter_docs.table() in TEXT, "run `make docs`"


@pytest.mark.parametrize("name", DreamParams.model_fields)
def test_every_parameter_is_explained(name):
    assert f"| `{name}` |" in TEXT


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)]+)\)", TEXT))
def test_every_file_that_it_links_to_is_there(link):
    assert (ROOT / link).exists()


@pytest.mark.parametrize("target", sorted(set(re.findall(r"make ([a-z]+)", TEXT))))
def test_every_target_that_it_names_is_in_the_makefile(target):
    assert re.search(rf"^{target}:.*## ", (ROOT / "Makefile").read_text(), re.MULTILINE)
