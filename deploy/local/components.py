"""Describes our own components: the API under gunicorn, the caretaker, and Celery workers that share the machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from pydantic import SecretStr

from deploy.local.embedded_services import answers
from deploy.local.process import Component
from shared.errors import StoreUnavailable
from shared.redis.job_store import RedisJobStore
from shared.settings import Settings

GUNICORN = Path(__file__).parent.parent / "gunicorn.conf.py"
SERVICES = ("redis_url", "s3_url", "s3_bucket", "s3_access_key", "s3_secret_key")


def addresses(settings: Settings) -> dict[str, str]:
    """Returns the addresses and credentials of Redis and S3, secrets in plain text. Unset values are left out."""
    values = {name: getattr(settings, name) for name in SERVICES}
    plain = {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in values.items()}
    return {name: value for name, value in plain.items() if value is not None}


def environment(settings: Settings) -> dict[str, str]:
    """Returns the variables that our processes need in addition to their parent's environment."""
    named = {f"DREAM_{name.upper()}": value for name, value in addresses(settings).items()}
    return {"PYTHONUNBUFFERED": "1", "DREAM_MODEL_DIR": str(settings.model_dir), **named}


def api(port: int, env: Mapping[str, str]) -> Component:
    bind = f"127.0.0.1:{port}"
    return Component(
        name="api",
        argv=[sys.executable, "-m", "gunicorn", "-c", str(GUNICORN), "-b", bind, "api.app:create_app()"],
        env={"MALLOC_ARENA_MAX": "2", **env},  # glibc keeps freed memory per arena: fewer arenas, less memory
        ready=lambda _: answers(f"http://{bind}/healthz"),
        stop_limit_s=15.0,
    )


def caretaker(env: Mapping[str, str]) -> Component:
    return Component(
        name="caretaker",
        argv=[sys.executable, "-m", "worker.recovery.caretaker"],
        env=env,
        ready=lambda _: True,  # nothing waits for it
    )


def workers(count: int, settings: Settings, env: Mapping[str, str]) -> list[Component]:
    """Describes `count` workers, each with its own GPU or its share of the CPU cores."""
    return [_worker(n, settings, {**env, **_share(n, count, settings)}) for n in range(count)]


def _worker(number: int, settings: Settings, env: Mapping[str, str]) -> Component:
    component = f"worker-{number + 1}"
    name = f"{component}@{socket.gethostname()}"  # several hosts may share one Redis
    celery = ["celery", "-A", "worker.app", "worker", "--pool=prefork", "--concurrency=1", "--loglevel=INFO"]
    celery += [
        "--without-gossip",
        "--without-mingle",
        "--without-heartbeat",
    ]  # we use none of them
    return Component(
        name=component,
        argv=[sys.executable, "-m", *celery, "-n", name],
        env={**env, "DREAM_WORKER_NAME": name},
        ready=lambda started: _has_registered(name, started, settings),
        stop_limit_s=30.0,  # it hands its job back within 15 s
    )


def _share(number: int, count: int, settings: Settings) -> dict[str, str]:
    if devices := gpus():
        return {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]}
    share = {}
    if count > 1 and settings.tile_threads is None:
        share["DREAM_TILE_THREADS"] = str(max(1, _processors() // count))
    if count > 1 and settings.memory is None:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        share["DREAM_MEMORY"] = str(max(2**30, memory // 2 // count))
    return share


def _has_registered(name: str, since: float, settings: Settings) -> bool:
    store = RedisJobStore.connect(settings)
    try:
        return any(w.name == name and w.seen_at >= since for w in store.workers())
    except StoreUnavailable:
        return False
    finally:
        store.redis.close()


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def gpus() -> list[str]:
    """Returns the indexes of the NVIDIA GPUs that the installed TensorFlow can use."""
    if any(distribution.name == "tensorflow-cpu" for distribution in metadata.distributions()):
        return []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],  # noqa: S607 - installed by the driver, at a path that varies
            capture_output=True,
            check=False,
            text=True,
        )
    except FileNotFoundError:
        return []
    return listed.stdout.split()
