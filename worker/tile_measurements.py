"""Measures this machine's fastest tiles once per network, and keeps the result on disk."""

import fcntl
import json
import os
import platform
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import structlog
import tensorflow as tf

from shared.networks import catalog
from shared.params import DreamParams
from shared.settings import Settings
from worker.dream.ascent import device, memory
from worker.dream.ascent.gradient import gradient_of
from worker.dream.ascent.tile_speed import EDGES_PX, TileSpeeds, measure, window_runner
from worker.dream.network import Network

log = structlog.get_logger(__name__)

FILE = "tile-speeds.json"


class TileMeasurements:
    """Returns the tile speeds of a network on this machine, measured at its first use and kept in DREAM_MODEL_DIR.

    Where the folder can't be written, each process measures again. GPUs are not measured: their tiles are as large as
    memory allows.
    """

    def __init__(self, settings: Settings) -> None:
        self._path = settings.model_dir / FILE
        self._limit_s = settings.tile_measurement_s
        self._at_once = min(settings.tile_threads or device.cores(), device.cores())

    def known(self, network: Network) -> TileSpeeds | None:
        """Returns what is kept on disk; None if nothing is, or nothing that can be read."""
        with suppress(KeyError, ValueError, TypeError, AttributeError):
            us = self._kept()[self._key(network)]
            speeds = TileSpeeds({int(edge): float(value) for edge, value in us.items()}, self._at_once)
            return speeds if list(speeds.us_per_px) == self._edges(network) else None
        return None

    def of(self, network: Network) -> TileSpeeds | None:
        """Returns the speeds, after measuring them if need be; None without measurement: the usual size then serves."""
        if self._limit_s <= 0 or device.gpu() is not None:
            return None
        edges = self._edges(network)
        if len(edges) < 2:
            return None
        with self._alone():
            if found := self.known(network):
                return found
            began = time.monotonic()
            layers = catalog.resolve(DreamParams(model=network.name)).layers or ()
            run = window_runner(gradient_of(network, layers), device.pool(device.cores()), self._at_once)
            speeds = measure(run, at_once=self._at_once, limit_s=self._limit_s, edges=edges)
            device.release_freed_memory()
            seconds, us = round(time.monotonic() - began, 1), dict(speeds.us_per_px) if speeds else None
            log.info("tiles_measured", model=network.name, seconds=seconds, us_per_px=us)
            if speeds:
                self._keep(network, speeds)
            return speeds

    def _edges(self, network: Network) -> list[int]:
        """Returns the sizes that memory allows to measure."""
        px = memory.bytes_for_tiles(0, 0) / network.gradient_bytes_per_px / self._at_once
        return [edge for edge in EDGES_PX if edge**2 <= px]

    def _key(self, network: Network) -> str:
        """Returns everything that the speeds depend on: another processor or library is measured again."""
        isa = os.environ.get("ONEDNN_MAX_CPU_ISA", "all")
        machine = f"{_processor()}, {device.cores()} cores, {self._at_once} tiles at once, {isa} instructions"
        return f"{network.name} {network.weights_sha256[:16]}, {machine}, TensorFlow {tf.__version__}"

    def _kept(self) -> dict[str, Any]:
        """Returns the file's content; nothing if it is missing or damaged."""
        with suppress(OSError, ValueError):
            content = json.loads(self._path.read_text())
            return content if isinstance(content, dict) else {}
        return {}

    def _keep(self, network: Network, speeds: TileSpeeds) -> None:
        try:
            kept = self._kept()
            kept[self._key(network)] = {str(edge): round(us, 4) for edge, us in speeds.us_per_px.items()}
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(json.dumps(kept, indent=1) + "\n")
            partial.replace(self._path)
        except OSError as exc:
            log.warning("tile_measurement_not_kept", path=str(self._path), reason=str(exc))

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Lets one worker of this machine measure at a time: another would disturb it, and then finds the result."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            lock = self._path.with_suffix(".lock").open("w")
        except OSError:
            yield
            return
        with lock:
            with suppress(OSError):  # some network file systems have no locks
                fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()
