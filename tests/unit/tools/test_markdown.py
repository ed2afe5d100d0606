"""Tests that the Markdown pages link to files that exist and name targets that the Makefile has."""

import re

import pytest

from deploy.local.process import ROOT

PAGES = sorted(
    [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), *(ROOT / "deploy").glob("*.md"), *ROOT.glob("examples/*.md")]
)
MAKEFILE = (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_that_a_page_links_to_exists(page):
    for link in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
        assert (page.parent / link).exists(), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_make_target_that_a_page_names_exists(page):
    for target in re.findall(r"`make ([a-z-]+)", page.read_text()):
        assert re.search(rf"^{target}:.*## ", MAKEFILE, re.MULTILINE), target


@pytest.mark.parametrize(
    "path",
    sorted(
        set(
            re.findall(
                r"`((?:api|shared|worker|deploy|tools|tests)/[\w./-]+)`", "".join(page.read_text() for page in PAGES)
            )
        )
    ),
)
def test_every_path_that_a_page_names_exists(path):
    assert (ROOT / path).exists()
