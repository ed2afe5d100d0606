"""Runs the `dream` commands in the README and in docs/USAGE.md."""

import re
import shlex

import pytest

from deploy.local.process import ROOT
from tests.fakes.pictures import a_picture

PAGES = ["README.md", "docs/USAGE.md"]
COMMANDS = [
    command.strip()
    for page in PAGES
    for command in re.findall(r"\.venv/bin/dream ((?:submit|looks|models)\b[^#`\n]*)", (ROOT / page).read_text())
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "photos").mkdir()
    for name in ("cat.jpg", "sky.png", "photos/1.jpg", "photos/2.jpg"):
        (tmp_path / name).write_bytes(a_picture())
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
def test_the_documented_command_runs(dream, folder, command):
    arguments = [
        found
        for word in shlex.split(command)
        for found in ([str(path) for path in sorted(folder.glob(word))] if "*" in word else [word])
    ]

    code, _, err = dream(*arguments)

    assert (code, err) == (0, "")
    if "-o" in arguments:
        assert (folder / arguments[arguments.index("-o") + 1]).exists()
    else:
        assert arguments[0] != "submit"


def test_the_pages_show_commands():
    assert len(COMMANDS) > 5
