"""Tests that the embedded Redis and S3 behave as the design requires."""

import boto3
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError


@pytest.fixture
def s3_client(settings):
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_url,
        aws_access_key_id=settings.s3_access_key.get_secret_value(),
        aws_secret_access_key=settings.s3_secret_key.get_secret_value(),
        region_name=settings.s3_region,
        config=Config(s3={"addressing_style": "path"}, signature_version="s3v4"),
    )
    yield client
    client.close()


def test_redis_never_evicts_and_keeps_an_append_only_file(settings):
    with redis.Redis.from_url(settings.redis_url, decode_responses=True) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_redis_refuses_those_without_the_password(settings):
    address = settings.redis_url.rsplit("@", 1)[1]
    with redis.Redis.from_url(f"redis://{address}") as client, pytest.raises(redis.AuthenticationError):
        client.ping()


def test_s3_writes_an_object_that_must_be_absent_only_once(settings, s3_client):
    def write():
        s3_client.put_object(Bucket=settings.s3_bucket, Key="once", Body=b"1", IfNoneMatch="*")

    write()

    with pytest.raises(ClientError, match="PreconditionFailed"):
        write()


def test_s3_refuses_wrong_keys(settings):
    client = boto3.client(
        "s3",
        endpoint_url=settings.s3_url,
        aws_access_key_id="nobody",
        aws_secret_access_key="nothing",
        region_name=settings.s3_region,
        config=Config(s3={"addressing_style": "path"}),
    )

    with pytest.raises(ClientError, match=r"InvalidAccessKeyId|AccessDenied"):
        client.list_objects_v2(Bucket=settings.s3_bucket)
    client.close()
