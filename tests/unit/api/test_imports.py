"""Import time and imported packages of the API and the client, measured in fresh processes."""

import json
import subprocess
import sys

import pytest

pytestmark = pytest.mark.slow

HEAVY = ("tensorflow", "numpy", "scipy", "cv2", "worker")
MODULES = 900  # a measure of the start's time that is the same on every machine; 772 when this was written
LOOK = """
import json, sys
import {module}
print(json.dumps(sorted(sys.modules)))
"""


def imported(module):
    asked = [sys.executable, "-c", LOOK.format(module=module)]
    return json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)


def packages(modules):
    return {name.partition(".")[0] for name in modules}


def test_the_api_is_imported_within_its_budget_and_without_the_engines_libraries():
    modules = imported("api.app")

    assert packages(modules).isdisjoint(HEAVY)
    assert len(modules) < MODULES


def test_connecting_to_redis_and_s3_imports_nothing_heavy_either():
    modules = imported("shared.redis.job_store, shared.s3.object_storage, shared.celery_app, shared.settings, api.app")

    assert packages(modules).isdisjoint(HEAVY)


@pytest.mark.parametrize("module", ["api.client.dream_client", "api.cli.main"])
def test_the_client_needs_nothing_of_the_servers(module):
    assert packages(imported(module)).isdisjoint({*HEAVY, "flask", "apiflask", "redis", "boto3", "celery", "PIL"})
