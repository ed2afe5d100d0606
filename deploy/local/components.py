"""Our own parts of the stack: the API under gunicorn, the caretaker, and Celery workers that share the machine."""

import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

from pydantic import SecretStr

from deploy.local.embedded_services import answers
from deploy.local.process import Part
from shared.errors import StoreUnavailable
from shared.redis.job_store import RedisJobStore
from shared.settings import Settings

GUNICORN = Path(__file__).parent.parent / "gunicorn.conf.py"
SERVICES = ("redis_url", "s3_url", "s3_bucket", "s3_access_key", "s3_secret_key")


def addresses(settings: Settings) -> dict[str, str]:
    """How to reach Redis and S3, secrets in the clear; what is unset is left out."""
    values = {name: getattr(settings, name) for name in SERVICES}
    plain = {name: v.get_secret_value() if isinstance(v, SecretStr) else v for name, v in values.items()}
    return {name: value for name, value in plain.items() if value is not None}


def environment(settings: Settings) -> dict[str, str]:
    """What our processes need on top of their parent's environment."""
    named = {f"DREAM_{name.upper()}": value for name, value in addresses(settings).items()}
    return {"PYTHONUNBUFFERED": "1", "DREAM_MODEL_DIR": str(settings.model_dir), **named}


def api(port: int, env: Mapping[str, str]) -> Part:
    bind = f"127.0.0.1:{port}"
    return Part(
        name="api",
        argv=[sys.executable, "-m", "gunicorn", "-c", str(GUNICORN), "-b", bind, "api.app:create_app()"],
        env={"MALLOC_ARENA_MAX": "2", **env},  # glibc would keep what requests have used once for every few threads
        ready=lambda _: answers(f"http://{bind}/healthz"),
        start_limit_s=90.0,  # seconds on a machine that is busy; usually two
        stop_limit_s=15.0,
    )


def caretaker(env: Mapping[str, str]) -> Part:
    return Part(
        name="caretaker",
        argv=[sys.executable, "-m", "worker.recovery.caretaker"],
        env=env,
        ready=lambda _: True,  # nobody waits for its answer
    )


def workers(count: int, settings: Settings, env: Mapping[str, str]) -> list[Part]:
    """So many workers, each with a GPU of its own or its share of the processor."""
    return [_worker(n, settings, {**env, **_share(n, count, settings)}) for n in range(count)]


def _worker(number: int, settings: Settings, env: Mapping[str, str]) -> Part:
    part = f"worker-{number + 1}"
    name = f"{part}@{socket.gethostname()}"  # several hosts may share one Redis
    celery = ["celery", "-A", "worker.app", "worker", "--pool=prefork", "--concurrency=1", "--loglevel=INFO"]
    celery += ["--without-gossip", "--without-mingle", "--without-heartbeat"]  # every worker telling every other
    return Part(
        name=part,
        argv=[sys.executable, "-m", *celery, "-n", name],
        env={**env, "DREAM_WORKER_NAME": name},
        ready=lambda started: _has_registered(name, started, settings),
        start_limit_s=120.0,  # it loads TensorFlow and the network
        stop_limit_s=30.0,  # it hands its job back within 15 s
    )


def _share(number: int, count: int, settings: Settings) -> dict[str, str]:
    if devices := gpus():
        return {"CUDA_VISIBLE_DEVICES": devices[number % len(devices)]}
    if count > 1 and settings.tile_threads is None:
        return {"DREAM_TILE_THREADS": str(max(1, _processors() // count))}
    return {}


def _has_registered(name: str, since: float, settings: Settings) -> bool:
    try:
        return any(w.name == name and w.seen_at >= since for w in RedisJobStore.connect(settings).workers())
    except StoreUnavailable:
        return False


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


def gpus() -> list[str]:
    """The numbers of the NVIDIA GPUs that the installed TensorFlow could use."""
    if any(distribution.name == "tensorflow-cpu" for distribution in metadata.distributions()):
        return []
    try:
        listed = subprocess.run(
            ["nvidia-smi", "--query-gpu=index", "--format=csv,noheader"],  # noqa: S607 - the driver's own, wherever it lies
            capture_output=True,
            check=False,
            text=True,
        )
    except FileNotFoundError:
        return []
    return listed.stdout.split()
