"""Tests the `dream-worker` command."""

import subprocess
import sys

import pytest
from typer.testing import CliRunner

from shared import settings
from worker import fetch_weights
from worker.cli import main as worker_cli


def test_brackets_in_paths_are_printed(monkeypatch):
    settings.load.cache_clear()
    monkeypatch.setattr(fetch_weights, "fetch", lambda *_, **__: "/weights [old]/net.pb")

    done = CliRunner().invoke(worker_cli.app, ["fetch", "inception5h"])

    assert done.stdout == "inception5h is ready: /weights [old]/net.pb\n"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["describe", "--help"], ["describe", __file__], ["fetch", "nothing"]]
)
def test_help_and_wrong_arguments_do_not_load_tensorflow(arguments):
    code = (
        "import sys, contextlib\n"
        f"sys.argv = ['dream-worker', *{arguments!r}]\n"
        "from worker.cli import main as worker_cli\n"
        "with contextlib.suppress(SystemExit):\n"
        "    worker_cli.main()\n"
        "sys.exit('tensorflow' in sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
