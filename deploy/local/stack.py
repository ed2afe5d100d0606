"""Runs the embedded stack: Redis, S3, the API, the caretaker and the workers, as child processes of this one."""

import fcntl
import json
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import IO, Any

from deploy.local import components
from deploy.local.embedded_services import StackState, embedded_redis, embedded_s3, write_private
from deploy.local.process import ROOT, Child, Component, ProcessRecord
from shared.settings import Settings

HOME = ROOT / ".dream"


class AlreadyRunning(Exception):
    """A stack is already running in this folder."""


class Stack:
    """Starts and stops the whole service, or single components of it.

    Start components from the main thread only: Linux ends a component when the thread that started it ends.
    """

    def __init__(
        self,
        home: Path = HOME,
        *,
        workers: int | None = None,
        settings: Settings | None = None,
        embed: Iterable[str] = ("redis", "s3"),
        env: Mapping[str, str] | None = None,
        on_progress: Callable[[str], None] = lambda _: None,
    ) -> None:
        """Prepares the stack without starting it.

        workers: their number; None means one, or one per GPU.   settings: addresses of services that are not embedded.
        env: added to every component's environment.   on_progress: called with a line of text at each step.
        """
        self.home = home
        self.settings = settings or Settings()
        self.children: dict[str, Child] = {}
        self.api_url = ""
        self._workers = workers if workers is not None else len(components.gpus()) or 1
        self._embed = frozenset(embed)
        self._env = env or {}
        self._on_progress = on_progress
        self._lock: IO[bytes] | None = None
        if "model_dir" not in self.settings.model_fields_set:
            self.settings = self.settings.model_copy(update={"model_dir": home / "models"})

    def start(self) -> None:
        """Starts every component and waits until all are ready.

        Raises AlreadyRunning, ComponentFailed or MissingProgram; nothing is left running then.
        """
        self._take_lock()
        try:
            stop_leftovers(self.home)  # a killed stack may have left processes
            state = StackState.load(self.home / "state.json")
            services = self._services(state)
            port = state.port("api")
            self.api_url = f"http://127.0.0.1:{port}"
            state.save(self.home / "state.json")
            self._start_together(services)
            env = {**components.environment(self.settings), **self._env}
            workers = components.workers(self._workers, self.settings, env)
            self._start_together([components.api(port, env), components.caretaker(env), *workers])
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stops workers first, so that they can release their jobs, and the stores last."""
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

    def start_component(self, name: str) -> None:
        """Restarts a component that has ended, and waits until it is ready."""
        self.kill_component(name)  # a worker's child process may have outlived it
        self._start_together([self.children[name].component])

    def stop_component(self, name: str) -> None:
        self.children[name].stop()

    def kill_component(self, name: str) -> None:
        """Sends SIGKILL to the component and to every process that it started."""
        self.children[name].kill()

    def dead(self) -> list[str]:
        """Returns the components that are not running."""
        return [name for name, child in self.children.items() if not child.is_alive]

    def _take_lock(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        (self.home / "logs").mkdir(exist_ok=True)
        lock = (self.home / "lock").open("wb")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel releases it when this process ends
        except BlockingIOError:
            lock.close()
            raise AlreadyRunning(
                f"Dreamqueue is already running at {running_api_url(self.home)}. Stop it with `make down`."
            ) from None
        self._lock = lock

    def _services(self, state: StackState) -> list[Component]:
        embedded = []
        for name, embed in (("redis", embedded_redis), ("s3", embedded_s3)):
            if name in self._embed:
                component, self.settings = embed(self.home / name, state, self.settings)
                embedded.append(component)
        return embedded

    def _start_together(self, group: list[Component]) -> None:
        for component in group:
            self._on_progress(f"Starting {component.name}")
            self.children[component.name] = Child(component, self.home / "logs" / f"{component.name}.log")
            self._record()
        for component in group:
            self.children[component.name].wait_until_ready()

    def _stop_together(self, names: list[str]) -> None:
        with ThreadPoolExecutor(max_workers=len(names) or 1) as pool:
            list(pool.map(self.stop_component, names))

    def _record(self) -> None:
        """Writes `stack.json`: the stack's addresses, and its processes in case this one is killed."""
        record = {
            "api_url": self.api_url,
            **components.addresses(self.settings),
            "supervisor": asdict(ProcessRecord.of(os.getpid(), name="supervisor", stop_limit_s=180.0)),
            "components": [asdict(child.record) for child in self.children.values()],
        }
        write_private(self.home / "stack.json", json.dumps(record, indent=2))


def stop_leftovers(home: Path) -> list[str]:
    """Stops what the folder's stack has left running, workers first. Returns the names of the components found."""
    found = []
    for process in reversed(_read(home).get("components", [])):
        if process.group():
            found.append(process.name)
            process.stop()
    (home / "stack.json").unlink(missing_ok=True)
    return found


def stop_running_stack(home: Path = HOME) -> list[str]:
    """Stops the folder's stack from any process and returns the names of its components."""
    stack = _read(home)
    supervisor: ProcessRecord | None = stack.get("supervisor")
    running = [process.name for process in stack.get("components", []) if process.group()]
    if supervisor:
        supervisor.terminate()
    stop_leftovers(home)
    return running


def running_api_url(home: Path = HOME) -> str | None:
    """Returns the API's address of the folder's stack, or None when none is running."""
    stack = _read(home)
    supervisor: ProcessRecord | None = stack.get("supervisor")
    return stack["api_url"] if supervisor and supervisor.leader() else None


def _read(home: Path) -> dict[str, Any]:
    path = home / "stack.json"
    if not path.exists():
        return {}
    stack: dict[str, Any] = json.loads(path.read_text())
    stack["supervisor"] = ProcessRecord(**stack["supervisor"])
    stack["components"] = [ProcessRecord(**entry) for entry in stack["components"]]
    return stack
