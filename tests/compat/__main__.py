"""Runs the compatibility tests, the Redis ones on each server that is installed. Run: python -m tests.compat

`make compat` does so; docs/COMPATIBILITY.md has the results.
"""

import os
import shutil
import subprocess
import sys

from deploy.local.embedded_services import redis_program

REDIS_TESTS = (
    "tests/integration/shared/test_redis_requirements.py",
    "tests/integration/shared/test_redis_refusals.py",
    "tests/integration/shared/test_job_store_contract.py",
    "tests/integration/worker/test_celery_parent.py",
    "tests/e2e/test_redis_user.py",
)
OTHER_TESTS = (
    "tests/integration/openapi",
    "tests/integration/api/test_schemathesis.py",
    "tests/integration/shared/test_s3_compatibility.py",
    "tests/integration/shared/test_object_storage_contract.py",
    "tests/e2e/test_large_uploads.py",
    "tests/unit/shared/webhooks",
    "tests/examples",
    "tests/e2e/test_sentinel.py",
    "tests/e2e/test_webhooks.py",
)


def main() -> None:
    """Prints a verdict for each program; ends with 1 if one failed."""
    servers = {redis_program()} | {found for name in ("redis-server", "valkey-server") if (found := shutil.which(name))}
    verdicts = {_version(server): _run(REDIS_TESTS, {"COMPAT_REDIS": server}) for server in sorted(servers)}
    verdicts["OpenAPI, S3, webhooks, examples, Sentinel"] = _run(OTHER_TESTS, {})
    for name, passed in verdicts.items():
        sys.stdout.write(f"{'passed' if passed else 'FAILED'}  {name}\n")
    sys.exit(not all(verdicts.values()))


def _version(server: str) -> str:
    return subprocess.run([server, "--version"], capture_output=True, text=True, check=True).stdout.split(" sha=")[0]


def _run(tests: tuple[str, ...], env: dict[str, str]) -> bool:
    command = [sys.executable, "-m", "pytest", "-q", *tests]
    return subprocess.run(command, env=os.environ | {"CI": "true"} | env, check=False).returncode == 0


if __name__ == "__main__":
    main()
