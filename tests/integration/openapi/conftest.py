"""Fixtures: the npm packages of package.json, installed once and kept in build/."""

import fcntl
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from deploy.local.process import ROOT
from tests.waiting import patience_s

HERE = Path(__file__).parent
INSTALLED = ROOT / "build" / "openapi-tools"


@pytest.fixture(scope="session")
def npm_packages() -> Path:
    """The folder that holds node_modules. Without npm the tests are skipped, except in CI."""
    if not shutil.which("npm") and "CI" not in os.environ:
        pytest.skip("npm is not installed")
    versions = (HERE / "package-lock.json").read_bytes()
    INSTALLED.mkdir(parents=True, exist_ok=True)
    stamp = INSTALLED / "installed"
    # `make test` runs two processes, and two of `npm ci` in one folder spoil each other's files.
    with (INSTALLED / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists() or stamp.read_bytes() != versions:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, INSTALLED)
            run("npm", "ci", "--no-audit", "--no-fund", "--ignore-scripts", cwd=INSTALLED)
            stamp.write_bytes(versions)
    return INSTALLED


def run(*command: str | Path, cwd: Path) -> str:
    """Runs a program. Returns its output; fails the test with it when the program fails."""
    ended = subprocess.run(  # noqa: PLW1510 - the test shows the output
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, timeout=10 * patience_s()
    )
    assert ended.returncode == 0, f"{command}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout
