"""Runs a real Redis server that refuses writes when a test wants it to."""

import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import redis

from deploy.local.embedded_services import StackState, redis_program, write_private
from deploy.local.process import Child, Component
from tests.waiting import wait_until

PORTS = StackState()
REFUSALS = ("full", "unable to save", "a replica")
SAYS = {"full": "OOM", "unable to save": "MISCONF", "a replica": "read only replica"}


class RefusingRedis:
    """A server that works until `refusing`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.port = PORTS.port(folder.name)
        lines = ["bind 127.0.0.1", f"port {self.port}", "save 100000 1", "maxmemory-policy noeviction"]
        write_private(folder / "redis.conf", "\n".join(lines) + "\n")
        part = Component(
            name=folder.name, argv=[redis_program(), "redis.conf"], cwd=folder, ready=lambda _: self._answers()
        )
        self._child = Child(part, folder / "redis.log")
        self._child.wait_until_ready()
        self.calls_at_refusal = 0
        self.admin = redis.Redis(port=self.port, decode_responses=True)

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def stop(self) -> None:
        self.admin.close()
        self._child.kill()

    @contextmanager
    def refusing(self, how: str) -> Iterator[None]:
        """Makes the server refuse writes in one of the REFUSALS, and accept them again at the end."""
        steps: Mapping[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "full": (
                lambda: self.admin.config_set("maxmemory", 1),
                lambda: self.admin.config_set("maxmemory", 0),
            ),
            "unable to save": (self._break_saving, self._mend_saving),
            "a replica": (
                lambda: self.admin.replicaof("127.0.0.1", "1"),  # of a primary that doesn't exist
                lambda: self.admin.replicaof("NO", "ONE"),
            ),
        }
        begin, end = steps[how]
        begin()
        self.calls_at_refusal = int(self.admin.info("stats")["total_commands_processed"])
        try:
            yield
        finally:
            end()

    def _break_saving(self) -> None:
        target = self.folder / "dump.rdb"
        target.unlink(missing_ok=True)
        target.mkdir()  # the server renames a file to this name, which then fails
        (target / "in the way").touch()
        self._save("err")

    def _mend_saving(self) -> None:
        shutil.rmtree(self.folder / "dump.rdb")
        self._save("ok")

    def _save(self, status: str) -> None:
        def saved() -> bool:
            info = self.admin.info("persistence")
            if info["rdb_bgsave_in_progress"]:
                return False
            if info["rdb_last_bgsave_status"] != status:
                self.admin.bgsave()
            return info["rdb_last_bgsave_status"] == status

        wait_until(saved)

    def _answers(self) -> bool:
        try:
            with redis.Redis(port=self.port, socket_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False
