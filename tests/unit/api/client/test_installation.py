"""The client and the `dream` command work with the base dependencies alone."""

import os
import subprocess
import sys
import tomllib

import pytest
from packaging.requirements import Requirement

from deploy.local.process import ROOT

pytestmark = pytest.mark.slow

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
SERVER = ["apiflask", "boto3", "celery", "flask", "limits", "numpy", "PIL", "redis", "structlog", "tensorflow"]

# Refuses imports of installed packages other than the base dependencies and what these require themselves.
RESTRICTED = """
import importlib.metadata as metadata, re, sys
from importlib.abc import MetaPathFinder

def closure(names):
    found, ahead = set(), [re.sub(r"[-_.]+", "-", name).lower() for name in names]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found.add(name)
            required = [line for line in metadata.requires(name) or [] if "extra ==" not in line]
            for line in required:
                required_name = re.match(r"[\\w.-]+", line)[0]
                try:
                    metadata.version(required_name)
                except metadata.PackageNotFoundError:
                    continue  # for another platform or Python version
                ahead.append(re.sub(r"[-_.]+", "-", required_name).lower())
    return found

ALLOWED = closure(sys.argv.pop(1).split(","))
PACKAGES = {
    module: {re.sub(r"[-_.]+", "-", name).lower() for name in names}
    for module, names in metadata.packages_distributions().items()
}

class Restricted(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        distributions = PACKAGES.get(name.partition(".")[0], set())
        if distributions and "dreamqueue" not in distributions and not distributions & ALLOWED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Restricted())
"""


def run(program, *arguments, cwd):
    base = ",".join(Requirement(line).name for line in PROJECT["dependencies"])
    return subprocess.run(
        [sys.executable, "-c", RESTRICTED + program, base, *arguments],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_restriction_refuses_the_servers_packages(tmp_path):
    program = """
refused = []
for name in sys.argv[1].split(","):
    try:
        __import__(name)
    except ModuleNotFoundError:
        refused.append(name)
print(",".join(refused))
"""
    done = run(program, ",".join(SERVER), cwd=tmp_path)

    assert done.stdout.strip().split(",") == SERVER, done.stderr


def test_the_client_is_importable(tmp_path):
    program = "from api.client import DreamClient, Event, Refused, ServerUnavailable\nprint(DreamClient.__name__)"

    done = run(program, cwd=tmp_path)

    assert (done.stdout, done.stderr) == ("DreamClient\n", "")


@pytest.mark.parametrize("arguments", [["--help"], ["submit", "--help"], ["keys", "--help"]])
def test_the_command_prints_its_help(arguments, tmp_path):
    done = run("from api.cli.main import main\nmain()", *arguments, cwd=tmp_path)

    assert (done.returncode, done.stderr) == (0, "")
    assert "Usage" in done.stdout


def test_the_command_reports_a_missing_server(tmp_path):
    done = run("from api.cli.main import main\nmain()", "list", cwd=tmp_path)

    assert done.returncode == 4
    assert "make up" in done.stderr


def test_reading_a_recipe_without_pillow_says_what_to_install(tmp_path):
    (tmp_path / "result.png").write_bytes(b"png")

    done = run("from api.cli.main import main\nmain()", "again", "result.png", "--image", "result.png", cwd=tmp_path)

    assert done.returncode == 1
    assert "pip install pillow" in done.stderr
