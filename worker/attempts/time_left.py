"""Estimates the time left of a dream from what each octave cost in earlier dreams, and from its own pace.

Octaves differ in cost per pixel: small ones leave cores idle, and halos are a different share of each. So a plain
average of the pixels per second up to now jumps at every octave.
"""

import json
import math
import os
import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import structlog

from shared.clock import Clock
from worker.dream.progress.observer import EngineProgress

log = structlog.get_logger(__name__)

FILE = "octave-times.json"
WORKLOADS_KEPT = 200  # a workload is a network with its layers and tile size; the least recently run are forgotten
NEAR = 1.5  # an octave's cost is known from one with at most this times as many pixels, or as few
PACE_MEMORY_S = 60.0  # the pace of this dream is averaged over about this time
PRIOR_S = 2.0  # how long this dream must run for its own pace to count as much as the earlier dreams'
SURE_FROM = 0.1  # fraction of the work from which the estimate is narrow
# By what the estimate may exceed the time left, and the other way round, before and after SURE_FROM. Small octaves come
# first and usually cost more per pixel, so a dream of a workload not yet seen is more often shorter than estimated.
KNOWN, UNKNOWN = ((1.4, 1.4), (1.15, 1.15)), ((4.0, 1.6), (1.5, 1.5))


@dataclass(frozen=True, slots=True)
class Estimate:
    """Holds the seconds left: the best guess, and the range in which they probably lie."""

    seconds: float
    low: float
    high: float


class OctaveTimes:
    """Remembers seconds per pixel-step by octave size, for each workload that this worker has run.

    They are in memory alone until `keep_in` names a folder.
    """

    def __init__(self) -> None:
        self._path: Path | None = None
        self._lock = threading.Lock()
        self._times: dict[str, dict[int, float]] = {}  # most recently run last
        self._is_saved = True

    def keep_in(self, folder: Path) -> None:
        """Reads what was kept in that folder, and keeps the times there from now on."""
        self._path = folder / FILE
        self._times = self._read() | self._times

    def expected(self, workload: str, octave_px: int) -> float | None:
        """Returns the seconds per pixel-step of an octave of about that size; None if none was run."""
        known = self._times.get(workload, {})
        nearest = min(known, key=lambda px: abs(math.log(px / octave_px)), default=None)
        if nearest is None or not 1 / NEAR <= nearest / octave_px <= NEAR:
            return None
        return known[nearest]

    def record(self, workload: str, octave_px: int, seconds_per_px: float) -> None:
        """Records a whole octave: half of what is expected next is the newest, because machines change."""
        with self._lock:
            known = self._times.pop(workload, {})
            before = known.get(octave_px, seconds_per_px)
            self._times[workload] = known | {octave_px: (before + seconds_per_px) / 2}
            for oldest in list(self._times)[:-WORKLOADS_KEPT]:
                del self._times[oldest]
            self._is_saved = False

    def save(self) -> None:
        """Writes the file, with what other workers of this machine have written to it since. Logs if it can't."""
        if self._path is None or self._is_saved:
            return
        with self._lock:
            self._times = self._read() | self._times
            text = json.dumps(self._times, indent=1)
            self._is_saved = True
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            partial = self._path.with_suffix(f".{os.getpid()}.partial")
            partial.write_text(text + "\n")
            partial.replace(self._path)
        except OSError as exc:
            log.warning("octave_times_not_kept", path=str(self._path), reason=str(exc))

    def _read(self) -> dict[str, dict[int, float]]:
        if self._path is not None:
            with suppress(OSError, ValueError, AttributeError, TypeError):
                content = json.loads(self._path.read_text())
                return {
                    str(workload): {int(px): float(s) for px, s in known.items() if int(px) > 0 and float(s) > 0}
                    for workload, known in content.items()
                }
        return {}


class TimeLeft:
    """Follows one attempt. The engine's thread calls `observe`; any thread may call `estimate`."""

    def __init__(self, clock: Clock, times: OctaveTimes, workload: str) -> None:
        """workload: network, layers and whatever else of the parameters determines the cost of a pixel."""
        self._clock = clock
        self._times = times
        self._workload = workload
        self._last: tuple[float, EngineProgress] | None = None
        self._began = 0.0
        self._seconds, self._expected = 0.0, 0.0  # of the recent past: measured, and as the octaves' costs say
        self._costs: list[float] = []  # per pixel-step of each octave; only their ratios count until some is known
        self._known = False
        self._octave_s, self._octave_px = 0.0, 0  # of the current octave in this attempt

    def observe(self, progress: EngineProgress) -> None:
        """Takes in a report of the engine."""
        now = self._clock.monotonic()
        if self._last is None:
            self._workload = f"{self._workload}, tiles of {progress.tile_size}"
            self._costs, self._known = self._expected_costs(progress)
        else:
            self._add(now - self._last[0], self._last[1], progress)
        self._last = now, progress

    def estimate(self) -> Estimate | None:
        """Returns the time left; None before anything is known."""
        if self._last is None:
            return None
        progress, prior = self._last[1], PRIOR_S if self._known else 0.0
        if self._expected + prior <= 0:
            return None
        pace = (self._seconds + prior) / (self._expected + prior)
        left = pace * sum(px * cost for px, cost in zip(_left_px(progress), self._costs, strict=True))
        below, above = (KNOWN if self._known else UNKNOWN)[progress.done_px >= SURE_FROM * progress.total_px]
        return Estimate(left, left / below, left * above)

    def _expected_costs(self, progress: EngineProgress) -> tuple[list[float], bool]:
        """Returns the cost of a pixel-step in each octave, and whether earlier dreams tell that of all that are left.

        Where they don't, the pixels that the octave's windows have tell how the octaves compare.
        """
        sizes = _sizes(progress)
        shapes = [windows / px for windows, px in zip(progress.windows_px or sizes, sizes, strict=True)]
        known = [self._times.expected(self._workload, px) for px in sizes]
        ratios = [cost / shape for cost, shape in zip(known, shapes, strict=True) if cost is not None]
        unit = sum(ratios) / len(ratios) if ratios else 1.0
        costs = [shape * unit if cost is None else cost for cost, shape in zip(known, shapes, strict=True)]
        return costs, None not in known[_index(progress) :]

    def _add(self, seconds: float, before: EngineProgress, progress: EngineProgress) -> None:
        """Adds the time since the last report, which belongs to the octave that it came from."""
        moved_px = max(0, progress.done_px - before.done_px)
        decay = math.exp(-seconds / PACE_MEMORY_S)
        self._seconds = self._seconds * decay + seconds
        self._expected = self._expected * decay + moved_px * self._costs[_index(before)]
        self._octave_s += seconds
        self._octave_px += moved_px
        if progress.octave != before.octave or progress.done_px >= progress.total_px > before.done_px:
            size = _sizes(before)[_index(before)]
            if self._octave_px >= size * before.iterations and self._octave_s > 0:  # not resumed in its middle
                self._times.record(self._workload, size, self._octave_s / self._octave_px)
            self._octave_s, self._octave_px = 0.0, 0


def _sizes(progress: EngineProgress) -> Sequence[int]:
    """Returns the octaves' pixels; an engine that does not tell them counts as one octave."""
    return progress.octave_px or (max(1, progress.total_px // max(1, progress.iterations)),)


def _index(progress: EngineProgress) -> int:
    return progress.octave if progress.octave_px else 0


def _left_px(progress: EngineProgress) -> list[int]:
    """Returns the pixel-steps that are left in each octave."""
    if not progress.octave_px:
        return [progress.total_px - progress.done_px]
    left, done_px = [], progress.done_px
    for size in progress.octave_px:
        whole = size * progress.iterations
        done = min(whole, done_px)
        left.append(whole - done)
        done_px -= done
    return left
