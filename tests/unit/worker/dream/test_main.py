"""Tests `python -m worker.dream`: what it checks before it loads TensorFlow, and how it reports errors."""

import json
import os
import subprocess
import sys

import pytest
import typer
from PIL import Image
from typer.testing import CliRunner

from shared.networks import catalog
from worker.dream import __main__ as command
from worker.dream import engine
from worker.networks import registry

CATALOG = """
[[model]]
name = "mine"
title = "Mine"
license = "unknown"
source = "my own"
loader = "frozen_graph"
file = "mine.pb"
default_layer = "a"
layers = "a:3/4"
"""


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "photo [1].png"
    Image.new("RGB", (64, 64), "gray").save(path)
    return path


@pytest.fixture
def run(monkeypatch):
    """Runs the command; `run.loaded` lists the networks that it loaded. The engine itself returns the photograph."""
    monkeypatch.setattr(catalog, "MODELS", dict(catalog.MODELS))
    app = typer.Typer()
    app.command()(command.main)
    loaded = []

    class Account:
        class timings:  # noqa: N801 - read like the report's field
            total_s, network_s = 2.0, 1.0

        warnings = ()

        def with_warnings(self, warnings):
            self.warnings = warnings
            return self

        def recipe(self):
            return {}

        def to_json(self):
            return b"{}"

    monkeypatch.setattr(registry, "load", lambda name, _: loaded.append(name))
    monkeypatch.setattr(engine, "dream", lambda network, image, params, **_: (image, Account()))

    def invoke(*arguments, env=None):
        return CliRunner().invoke(app, [str(argument) for argument in arguments], env=env)

    invoke.loaded = loaded
    return invoke


def test_brackets_in_errors_and_file_names_are_printed(run, photo, tmp_path):
    wrong = tmp_path / "wrong.json"
    wrong.write_text(json.dumps({"octaves": "many"}))

    refused = run(photo, "--params", wrong, "-o", tmp_path / "out.png")
    dreamed = run(photo, "-o", tmp_path / "[red]out.png")

    assert refused.exit_code == 1
    assert "[type=int_parsing" in refused.stderr
    assert "[red]out.png: 2.0 s" in dreamed.stderr


def test_networks_of_the_users_own_catalog_are_known(run, photo, tmp_path):
    (tmp_path / "catalog.toml").write_text(CATALOG)
    (tmp_path / "params.json").write_text('{"model": "mine"}')
    arguments = [photo, "--params", tmp_path / "params.json", "-o", tmp_path / "out.png"]

    without = run(*arguments)
    found = run(*arguments, env={"DREAM_CATALOG": str(tmp_path / "catalog.toml")})

    assert "unknown model" in without.stderr.casefold()
    assert (found.exit_code, run.loaded) == (0, ["mine"])


def test_an_output_that_can_not_be_written_is_refused_before_dreaming(run, photo, tmp_path):
    for arguments in (["-o", tmp_path / "missing" / "out.png"], ["-o", tmp_path / "out.png", "--report", tmp_path]):
        refused = run(photo, *arguments)

        assert refused.exit_code == 2
        assert "be written" in " ".join(refused.stderr.replace("│", "").split())  # the error box wraps long paths
    assert run.loaded == []


def test_checking_the_output_leaves_an_existing_file_unchanged_and_creates_none(run, photo, tmp_path):
    (tmp_path / "old.png").write_bytes(b"old")

    for name in ("old.png", "new.png"):
        run(photo, "--params", os.devnull, "-o", tmp_path / name)

    assert (tmp_path / "old.png").read_bytes() == b"old"
    assert not (tmp_path / "new.png").exists()


@pytest.mark.parametrize("arguments", [["--help"], ["nowhere.jpg"], [__file__, "-o", "dream.gif"]])
def test_help_and_wrong_arguments_do_not_load_tensorflow(arguments):
    code = (
        "import sys, runpy, contextlib\n"
        f"sys.argv = ['dream', *{arguments!r}]\n"
        "with contextlib.suppress(SystemExit):\n"
        "    runpy.run_module('worker.dream', run_name='__main__')\n"
        "sys.exit('tensorflow' in sys.modules or 'numpy' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
