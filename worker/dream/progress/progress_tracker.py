"""Counts completed work, reports it to the observer, and measures the time of each phase."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from worker.dream.progress.observer import EngineObserver, EngineProgress, ResumePoint
from worker.dream.types import Image


class ProgressTracker:
    """Tracks the progress of one run of the engine. An observer that raises stops it."""

    def __init__(
        self,
        observer: EngineObserver | None,
        sizes: list[tuple[int, int]],
        iterations: int,
        *,
        windows_px: tuple[int, ...] = (),
        tile_size: int = 0,
    ) -> None:
        """sizes: (height, width) of each octave.   windows_px: pixels of its windows.   tile_size: pixels."""
        self._observer = observer
        self._octave_px = tuple(height * width for height, width in sizes)
        self._windows_px = windows_px
        self._tile_size = tile_size
        self._iterations = iterations
        self._octave, self._iteration, self._tiles_px = 0, 0, 0
        self._seconds: dict[str, float] = defaultdict(float)
        self._began_s = time.perf_counter()

    def begin(self, octave: int, iteration: int) -> None:
        """Sets the position: `iteration` iterations of that octave are done."""
        self._octave, self._iteration, self._tiles_px = octave, iteration, 0

    def tile_done(self, px: int) -> None:
        self._tiles_px += px
        self.step_done()

    def step_done(self) -> None:
        """Reports to the observer without counting work, so that it notices activity and may stop the engine."""
        if self._observer is None:
            return
        before = sum(self._octave_px[: self._octave]) * self._iterations
        self._observer.tile_done(
            EngineProgress(
                octave=self._octave,
                octaves=len(self._octave_px),
                iteration=self._iteration,
                iterations=self._iterations,
                done_px=before + self._octave_px[self._octave] * self._iteration + self._tiles_px,
                total_px=sum(self._octave_px) * self._iterations,
                octave_px=self._octave_px,
                windows_px=self._windows_px,
                tile_size=self._tile_size,
            )
        )

    def iteration_done(self, image: Image | Callable[[], Image], tile_size: int) -> None:
        """Reports the end of an iteration. image: the pixels, or a function that fetches them from the device."""
        self.begin(self._octave, self._iteration + 1)
        if self._observer is not None:
            point = ResumePoint(octave=self._octave, iteration=self._iteration, image=image, tile_size=tile_size)
            self._observer.iteration_done(point)

    @contextmanager
    def timed(self, phase: str) -> Iterator[None]:
        began_s = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[phase] += time.perf_counter() - began_s

    def seconds(self, phase: str) -> float:
        return self._seconds[phase]

    def total_s(self) -> float:
        return time.perf_counter() - self._began_s
