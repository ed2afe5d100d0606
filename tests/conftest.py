"""A real Redis and a real S3 for every test that asks, started once per run on free ports."""

import os
from collections.abc import Iterator
from dataclasses import dataclass

import boto3
import pytest
import redis
from botocore.config import Config

from deploy.local.embedded_services import MissingProgram, StackState, embedded_redis, embedded_s3
from deploy.local.process import Child
from deploy.local.stack import Stack
from shared.settings import Settings


@dataclass(frozen=True)
class Services:
    """The running pair."""

    settings: Settings
    redis: Child
    s3: Child


@pytest.fixture(scope="session")
def services(tmp_path_factory) -> Iterator[Services]:
    home = tmp_path_factory.mktemp("services")
    kept = StackState()
    try:
        redis_part, settings = embedded_redis(home / "redis", kept, Settings())
        s3_part, settings = embedded_s3(home / "s3", kept, settings)
    except MissingProgram as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
    children = []
    try:
        children.extend(Child(part, home / f"{part.name}.log") for part in (redis_part, s3_part))
        for child in children:
            child.wait_until_ready()
        yield Services(settings, *children)
    finally:
        for child in children:
            child.stop()


@pytest.fixture(scope="session")
def stack(tmp_path_factory) -> Iterator[Stack]:
    """The whole service with two workers, its folder's path with a space. Leave every part running."""
    env = {"DREAM_WEBHOOK_NETWORKS": "127.0.0.0/8"}  # so that tests can listen
    running = Stack(tmp_path_factory.mktemp("the stack"), workers=2, env=env)
    try:
        running.start()
    except MissingProgram as exc:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(exc))
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
    """Made anew: one whose objects are deleted still lists its folders for a while."""
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
