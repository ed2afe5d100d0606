"""A tenth of `make fuzz`, in a process of its own."""

import re
import subprocess
import sys

from deploy.local.process import ROOT


def test_no_request_and_no_file_is_answered_by_an_error_of_ours():
    run = subprocess.run(
        [sys.executable, "-m", "tests.fuzz", "--count", "10000", "--seconds", "3000", "--seed", "14"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert run.returncode == 0, run.stdout + run.stderr
    assert "10000 inputs" in run.stdout
    statuses = set(map(int, re.findall(r"(\d{3}): \d+", run.stdout)))
    assert {200, 202, 400, 401, 404, 413, 415, 422} <= statuses  # the inputs reach all of it
