"""Import time and imported packages of the API and the client, measured in fresh processes."""

import json
import os
import subprocess
import sys

import pytest

HEAVY = ("tensorflow", "numpy", "scipy", "cv2", "worker")
BUDGET_S = 0.7
MEASURE = """
import json, sys, time
began = time.process_time()
import {module}
took = time.process_time() - began
print(json.dumps([took, sorted({{name.partition(".")[0] for name in sys.modules}})]))
"""


def imported(module):
    # let Python cache bytecode, as in an installation
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", MEASURE.format(module=module)]
    process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    took, names = json.loads(process.stdout)
    return took, set(names)


def test_the_api_imports_within_its_budget_and_without_the_engines_libraries():
    # given cached bytecode; the budget is CPU time, which other processes do not affect
    _, names = imported("api.app")

    # when
    took = min(imported("api.app")[0] for _ in range(3))

    # then
    assert names.isdisjoint(HEAVY)
    assert took < BUDGET_S


def test_the_adapters_of_redis_and_s3_import_nothing_heavy():
    _, names = imported("shared.redis.job_store, shared.s3.object_storage, shared.celery_app, shared.settings, api.app")

    assert names.isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["api.client.dream_client", "api.cli.main"])
def test_the_client_needs_nothing_of_the_servers(module):
    _, names = imported(module)

    assert names.isdisjoint({*HEAVY, "flask", "apiflask", "redis", "boto3", "celery", "PIL"})
