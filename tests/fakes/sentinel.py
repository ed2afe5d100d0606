"""Runs a real Redis behind real sentinels, for tests: one master, two replicas, three sentinels."""

from collections.abc import Sequence
from pathlib import Path

import redis

from deploy.local.embedded_services import StackState, is_free, redis_program, write_private
from deploy.local.process import Child, Component

MASTER = "dreams"
DOWN_AFTER_MS, FAILOVER_TIMEOUT_MS = 1500, 5000


class SentinelFleet:
    """Starts and stops the six processes. Tests trigger a failover with `kill_master`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._ports = StackState()
        self._password = self._ports.redis_password
        self.servers: list[Child] = []
        self.sentinels: list[Child] = []

    @property
    def url(self) -> str:
        hosts = ",".join(f"127.0.0.1:{self._ports.ports[f'sentinel-{n}']}" for n in range(3))
        return f"redis+sentinel://:{self._password}@{hosts}/{MASTER}/0"

    def start(self) -> None:
        master = self._ports.port("redis-0")
        for number in range(3):
            port = self._ports.port(f"redis-{number}")
            lines = [f"replicaof 127.0.0.1 {master}"] if number else []
            self.servers.append(self._server(number, port, lines))
        for number in range(3):
            self.sentinels.append(self._sentinel(number, self._ports.port(f"sentinel-{number}"), master))
        for child in [*self.servers, *self.sentinels]:
            child.wait_until_ready()

    def stop(self) -> None:
        for child in [*self.sentinels, *self.servers]:
            child.kill()

    def kill_master(self) -> None:
        """Ends the master without warning; the sentinels promote a replica."""
        port = self.master_port()
        next(child for child in self.servers if f"-{port}" in child.component.name).kill()

    def master_port(self) -> int:
        with redis.Redis(port=self._ports.ports["sentinel-0"], decode_responses=True) as sentinel:
            return int(sentinel.sentinel_get_master_addr_by_name(MASTER)[1])

    def replicas_in_sync(self) -> int:
        with redis.Redis(port=self.master_port(), password=self._password, decode_responses=True) as client:
            return int(client.info("replication")["connected_slaves"])

    def _server(self, number: int, port: int, lines: Sequence[str]) -> Child:
        options = [
            *("bind 127.0.0.1", f"port {port}", f"requirepass {self._password}", f"masterauth {self._password}"),
            *("maxmemory-policy noeviction", "appendonly yes", 'save ""', "daemonize no", "repl-diskless-sync-delay 0"),
        ]
        return self._child(f"redis-{number}-{port}", [*options, *lines], port, password=self._password)

    def _sentinel(self, number: int, port: int, master: int) -> Child:
        options = [
            *("bind 127.0.0.1", f"port {port}", "daemonize no"),
            f"sentinel monitor {MASTER} 127.0.0.1 {master} 2",
            f"sentinel auth-pass {MASTER} {self._password}",
            f"sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}",
            f"sentinel failover-timeout {MASTER} {FAILOVER_TIMEOUT_MS}",
        ]
        return self._child(f"sentinel-{number}", options, port, flags=["--sentinel"])

    def _child(
        self, name: str, options: Sequence[str], port: int, *, flags: Sequence[str] = (), password: str | None = None
    ) -> Child:
        folder = self._home / name
        assert is_free(port)
        folder.mkdir(parents=True)
        config = folder / "redis.conf"  # writable: a sentinel stores its state in it
        write_private(config, "\n".join(options) + "\n")
        part = Component(
            name=name,
            argv=[redis_program(), str(config), *flags],
            cwd=folder,
            ready=lambda _: _answers(port, password),
        )
        return Child(part, self._home / f"{name}.log")


def _answers(port: int, password: str | None) -> bool:
    try:
        with redis.Redis(port=port, password=password, socket_timeout=2) as client:
            return bool(client.ping())
    except redis.RedisError:
        return False
