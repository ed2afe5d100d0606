"""Starts a real Redis and a real S3 on free ports, once per run, for the tests that need them."""

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import httpx
import hypothesis
import pytest
import redis
from botocore.config import Config

import worker.dream  # noqa: F401 - before any test imports TensorFlow, as worker.dream demands
from deploy.local import embedded_services
from deploy.local.embedded_services import MissingProgram, StackState, embedded_redis, embedded_s3
from deploy.local.process import Child, Component
from deploy.local.stack import Stack
from shared.settings import Settings
from tests.waiting import PATIENCE_S

# Slowness on a busy machine is not a failure.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")
for phase in ("connect", "read", "write", "pool"):
    setattr(httpx._config.DEFAULT_TIMEOUT_CONFIG, phase, PATIENCE_S)  # 5 s; httpx has no other way to set its default

if program := os.environ.get("COMPAT_REDIS"):  # `make compat` runs tests on other servers
    embedded_services.redis_program = lambda: program

os.environ.setdefault("DREAM_TILE_MEASUREMENT_S", "0")  # tests start many workers

TESTS = Path(__file__).parent


@dataclass(frozen=True)
class Services:
    """The running Redis and S3."""

    settings: Settings
    redis: Child
    s3: Child


# Tests that start programs by fixtures of their own.
STARTING = tuple(
    TESTS / place
    for place in (
        *("chaos", "e2e", "examples", "fuzz", "integration/openapi"),
        *("integration/shared/test_redis_requirements.py", "integration/worker/test_celery_parent.py"),
    )
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Marks what `make test-fast` leaves out, by folder and by fixtures, their own fixtures included.

    Refuses two tests of one name: pytest-xdist would run only one of them, and say nothing.
    """
    named = Counter(item.nodeid for item in items)
    if twice := [name for name, count in named.items() if count > 1]:
        raise pytest.UsageError(f"Several tests have the same name; rename them: {', '.join(twice)}")
    for item in items:
        uses = getattr(item, "fixturenames", ())
        if "redis_and_s3" in uses or any(item.path.is_relative_to(place) for place in STARTING):
            item.add_marker(pytest.mark.service)
        if "chromium" in uses:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="session")
def redis_and_s3(request, tmp_path_factory) -> tuple[Component, Component, Settings]:
    """Returns how to start them. Without their programs the tests that need them are skipped, but not in CI."""
    if "not service" in request.config.option.markexpr:
        pytest.fail("This test asks for Redis and S3 at run time: give the parameter that does pytest.mark.service.")
    home = tmp_path_factory.mktemp("services")
    state = StackState()
    try:
        redis_component, settings = embedded_redis(home / "redis", state, Settings())
        s3_component, settings = embedded_s3(home / "s3", state, settings)
    except MissingProgram as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    return redis_component, s3_component, settings


@pytest.fixture(scope="session")
def services(redis_and_s3, tmp_path_factory) -> Iterator[Services]:
    redis_component, s3_component, settings = redis_and_s3
    home = tmp_path_factory.mktemp("logs")
    children = []
    try:
        children.extend(
            Child(component, home / f"{component.name}.log") for component in (redis_component, s3_component)
        )
        for child in children:
            child.wait_until_ready()
        yield Services(settings, *children)
    finally:
        for child in children:
            child.stop()


@pytest.fixture(scope="session")
def stack(redis_and_s3, tmp_path_factory) -> Iterator[Stack]:
    """Runs the whole service with two workers; its path contains a space. Leave every component running."""
    env = {"DREAM_WEBHOOK_NETWORKS": "127.0.0.0/8"}  # so that tests can listen
    running = Stack(tmp_path_factory.mktemp("the stack"), workers=2, env=env)
    running.start()
    yield running
    running.stop()


@pytest.fixture
def settings(services) -> Settings:
    """Settings that point at the real Redis and S3, both empty when the test starts."""
    empty_redis(services.settings)
    empty_bucket(services.settings)
    return services.settings


def empty_redis(settings: Settings) -> None:
    with redis.Redis.from_url(settings.redis_url) as client:
        client.flushall()


def empty_bucket(settings: Settings) -> None:
    """Replaces the bucket, because SeaweedFS lists the folders of deleted objects for a while."""
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_url,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        region_name=settings.s3_region,
        config=Config(s3={"addressing_style": "path"}),
    )
    client.delete_bucket(Bucket=settings.s3_bucket)  # SeaweedFS deletes what is in it as well
    client.create_bucket(Bucket=settings.s3_bucket)
    client.close()
