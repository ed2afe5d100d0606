"""Identifies workers that compute the same bytes and understand each other: only they may help each other."""

import hashlib
import json
import os
import platform
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from shared.version import VERSION
from worker.sharing.messages import PROTOCOL

LIBRARIES = ("tensorflow", "tensorflow-cpu", "numpy", "opencv-python-headless")
VARIABLES = {"TF_ENABLE_ONEDNN_OPTS": "1", "ONEDNN_MAX_CPU_ISA": "", "DNNL_MAX_CPU_ISA": "", "TF_DISABLE_MKL": ""}
CPU_FIELDS = ("vendor_id", "cpu family", "model", "model name", "cache size", "flags")


@lru_cache(maxsize=1)
def fingerprint() -> str:
    """Returns 12 hexadecimal digits that are equal on hosts with the same processor, GPUs and numeric libraries.

    The model of the processor counts and not only its instruction sets, because libraries choose the order of
    summation by the size of its caches. The number of cores does not affect the results. Does not load TensorFlow.
    """
    described = {
        "system": (sys.platform, platform.machine()),
        "cpu": _cpu() or platform.processor(),
        "gpus": _gpus() if os.environ.get("CUDA_VISIBLE_DEVICES", "all") not in {"", "-1"} else [],
        "libraries": {"dreamqueue": VERSION, **{name: _version(name) for name in LIBRARIES}},
        "protocol": PROTOCOL,
        "variables": {name: os.environ.get(name, default) for name, default in VARIABLES.items()},
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:12]


def _cpu() -> list[str]:
    """Returns what Linux says about the first processor, except for its clock."""
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:  # not Linux
        return []
    return [line for line in first.splitlines() if line.partition(":")[0].strip() in CPU_FIELDS]


def _gpus() -> list[str]:
    """Returns NVIDIA's own description of each GPU: its model, and what the driver says about it."""
    described = sorted(Path("/proc/driver/nvidia/gpus").glob("*/information"))
    models = [line for path in described for line in path.read_text().splitlines() if line.startswith("Model:")]
    driver = Path("/proc/driver/nvidia/version")
    return [*models, driver.read_text()] if driver.exists() else models


def _version(library: str) -> str | None:
    try:
        return version(library)
    except PackageNotFoundError:
        return None
