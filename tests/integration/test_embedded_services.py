"""Tests that the embedded Redis and S3 behave as the design requires."""

import boto3
import httpx
import psutil
import pytest
import redis
from botocore.config import Config
from botocore.exceptions import ClientError

from deploy.local.embedded_services import GRPC_OFFSET


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


def http_ports(process_id):
    """Returns the ports on which the process listens, without those of gRPC, which no browser speaks."""
    ports = {c.laddr.port for c in psutil.Process(process_id).net_connections("tcp") if c.status == psutil.CONN_LISTEN}
    return {port for port in ports if port - GRPC_OFFSET not in ports}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "DELETE"])
def test_no_port_of_s3_serves_or_takes_an_object_without_a_key(services, settings, s3_client, method):
    # given
    s3_client.put_object(Bucket=settings.s3_bucket, Key="secrets/session", Body=b"a secret")
    ports = http_ports(services.s3.pid)
    places = [
        "/buckets/dreamqueue/secrets/session",
        "/dreamqueue/secrets/session",
        "/1,01",
        "/dir/assign",
        "/buckets/x",
    ]
    assert len(ports) >= 4

    for port in ports:
        for place in places:
            # when
            answer = httpx.request(
                method, f"http://127.0.0.1:{port}{place}", content=b"new", headers={"Origin": "https://evil.example"}
            )

            # then
            assert answer.status_code in {400, 401, 403, 404, 405}, (port, place)
            assert b"a secret" not in answer.content
    kept = s3_client.get_object(Bucket=settings.s3_bucket, Key="secrets/session")["Body"]
    assert kept.read() == b"a secret"
    kept.close()
