"""The embedded stack: Redis, S3, the API, the caretaker and the workers, as child processes of this one."""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from deploy.local import components
from deploy.local.embedded_services import Kept, embedded_redis, embedded_s3, write_private
from deploy.local.process import ROOT, Child, Footprint, Part
from shared.settings import Settings

HOME = ROOT / ".dream"


class AlreadyRunning(Exception):
    """A stack runs on this folder already."""


class Stack:
    """Start it, stop it, or take single parts down and up again.

    Start parts from the main thread only: the kernel ties a part's life to the thread that started it.
    """

    def __init__(
        self,
        home: Path = HOME,
        *,
        workers: int | None = None,
        settings: Settings | None = None,
        embed: Iterable[str] = ("redis", "s3"),
        env: Mapping[str, str] | None = None,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        """workers: how many; None is one, or one per GPU.   settings: of services that are not embedded.

        env: on top of every part's environment.   say: hears what is going on.
        """
        self.home = home
        self.settings = settings or Settings()
        self.children: dict[str, Child] = {}
        self.api_url = ""
        self._workers = workers if workers is not None else len(components.gpus()) or 1
        self._embed = frozenset(embed)
        self._env = env or {}
        self._say = say
        self._lock: IO[bytes] | None = None
        if "model_dir" not in self.settings.model_fields_set:
            self.settings = self.settings.model_copy(update={"model_dir": home / "models"})

    def start(self) -> None:
        """Returns when every part is ready. Raises AlreadyRunning, PartFailed or MissingProgram, nothing runs then."""
        self._take_lock()
        try:
            sweep(self.home)  # a stack that was killed may have left something
            kept = Kept.load(self.home / "kept.json")
            services = self._services(kept)
            port = kept.port("api")
            self.api_url = f"http://127.0.0.1:{port}"
            kept.save(self.home / "kept.json")
            self._start_together(services)
            env = {**components.environment(self.settings), **self._env}
            workers = components.workers(self._workers, self.settings, env)
            self._start_together([components.api(port, env), components.caretaker(env), *workers])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Workers first, so that they can hand their jobs back; the stores of it all last."""
        services = [name for name in self.children if name in {"redis", "s3"}]
        workers = [name for name in self.children if name.startswith("worker-")]
        others = [name for name in self.children if name not in {*services, *workers}]
        for names in (workers, others, services):
            self._stop_together(names)
        self.children.clear()
        if self._lock:
            (self.home / "stack.json").unlink(missing_ok=True)
            self._lock.close()
            self._lock = None

    def start_part(self, name: str) -> None:
        """Starts a part again that has ended, and waits until it is ready."""
        self.kill_part(name)  # a worker's child may have outlived its parent
        self._start_together([self.children[name].part])

    def stop_part(self, name: str) -> None:
        self.children[name].stop()

    def kill_part(self, name: str) -> None:
        """SIGKILL to the part and to all that it has started."""
        self.children[name].kill()

    def dead(self) -> list[str]:
        """The parts that are not running."""
        return [name for name, child in self.children.items() if not child.is_alive]

    def _take_lock(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.home / "logs").mkdir(exist_ok=True)
        lock = (self.home / "lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system frees it, however we end
        except BlockingIOError:
            lock.close()
            raise AlreadyRunning(
                f"Dreamqueue is up already, at {running_api(self.home)}; `make down` stops it."
            ) from None
        self._lock = lock

    def _services(self, kept: Kept) -> list[Part]:
        embedded = []
        for name, embed in (("redis", embedded_redis), ("s3", embedded_s3)):
            if name in self._embed:
                part, self.settings = embed(self.home / name, kept, self.settings)
                embedded.append(part)
        return embedded

    def _start_together(self, group: list[Part]) -> None:
        for part in group:
            self._say(f"starting {part.name}")
            self.children[part.name] = Child(part, self.home / "logs" / f"{part.name}.log")
            self._record()
        for part in group:
            self.children[part.name].wait_until_ready()

    def _stop_together(self, names: list[str]) -> None:
        with ThreadPoolExecutor(max_workers=len(names) or 1) as pool:
            list(pool.map(self.stop_part, names))

    def _record(self) -> None:
        """`stack.json`: how to reach the stack, and how to find its processes should we be killed."""
        record = {
            "api_url": self.api_url,
            **components.addresses(self.settings),
            "supervisor": asdict(Footprint.of(os.getpid(), name="supervisor", stop_limit_s=90.0)),
            "parts": [asdict(child.footprint) for child in self.children.values()],
        }
        write_private(self.home / "stack.json", json.dumps(record, indent=2))


def sweep(home: Path) -> list[str]:
    """Stops what the folder's stack has left running, workers first; the names of what was found."""
    found = []
    for footprint in reversed(_read(home).get("parts", [])):
        if footprint.group():
            found.append(footprint.name)
            footprint.stop()
    (home / "stack.json").unlink(missing_ok=True)
    return found


def shut_down(home: Path = HOME) -> list[str]:
    """Stops the folder's stack, whoever runs it; the names of what ran. Nothing of it is left then."""
    record = _read(home)
    supervisor: Footprint | None = record.get("supervisor")
    ran = [footprint.name for footprint in record.get("parts", []) if footprint.group()]
    if supervisor:
        supervisor.terminate()
    sweep(home)
    return ran


def running_api(home: Path = HOME) -> str | None:
    """Where the API of the folder's stack is, None when no stack runs."""
    record = _read(home)
    supervisor: Footprint | None = record.get("supervisor")
    return record["api_url"] if supervisor and supervisor.leader() else None


def _read(home: Path) -> dict[str, Any]:
    path = home / "stack.json"
    if not path.exists():
        return {}
    record: dict[str, Any] = json.loads(path.read_text())
    record["supervisor"] = Footprint(**record["supervisor"])
    record["parts"] = [Footprint(**entry) for entry in record["parts"]]
    return record
