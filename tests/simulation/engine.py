"""Simulates an engine in virtual time: simple arithmetic on a small image, with the same result after any resume."""

import io
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import nullcontext

import numpy as np
from PIL import Image as Pillow

from shared.errors import OutOfMemory
from tests.simulation.scheduler import Scheduler
from worker.dream.progress.observer import EngineProgress, ResumePoint

MODELS = ("efficientnet-lite0",)
OCTAVES, ITERATIONS = 2, 3
WIDTH, HEIGHT = 8, 6


def a_photograph() -> bytes:
    file = io.BytesIO()
    Pillow.new("RGB", (WIDTH, HEIGHT), (100, 110, 120)).save(file, "PNG")
    return file.getvalue()


class SimReport:
    def __init__(self, seed: int) -> None:
        self._seed = seed

    def recipe(self) -> dict[str, object]:
        return {"seed": self._seed}

    def with_warnings(self, warnings: tuple[str, ...]) -> "SimReport":
        return self

    def to_json(self) -> bytes:
        return b"{}"


class SimDreamer:
    """Simulates one worker's engine.

    failures: how many more times a job with that seed runs out of memory, counted over all workers.
    deadly: the seeds of jobs that kill their worker.   die: kills this one.
    resumed: called with the point from which each dream begins.
    """

    device = "simulated"

    def __init__(
        self,
        scheduler: Scheduler,
        failures: Counter[int],
        step_s: float,
        *,
        deadly: Collection[int] = (),
        die: Callable[[], None] = lambda: None,
        resumed: Callable[[ResumePoint | None], None] = lambda point: None,
    ) -> None:
        self._scheduler, self._failures, self._step_s = scheduler, failures, step_s
        self._deadly, self._die, self._resumed = deadly, die, resumed

    def models(self) -> tuple[str, ...]:
        return MODELS

    def fetch(self, wanted) -> None:
        pass

    def load(self, model: str) -> None:
        pass

    def share(self, job, params, guide):
        return nullcontext()

    def choose_tile_size(self, params, height: int, width: int) -> int:
        return 256

    def dream(self, image, params, *, inputs, keep_gradient, observer, resume, helpers=None):
        self._resumed(resume)
        if params.seed in self._deadly:
            self._die()
        image = np.array(resume.image if resume else image, np.float32)
        done = resume.octave * ITERATIONS + resume.iteration if resume else 0
        total = OCTAVES * ITERATIONS
        for step in range(done, total):
            octave, iteration = divmod(step, ITERATIONS)
            self._scheduler.sleep(self._scheduler.rng.expovariate(1 / self._step_s))
            mark = EngineProgress(
                octave=octave,
                octaves=OCTAVES,
                iteration=iteration,
                iterations=ITERATIONS,
                done_px=step + 1,
                total_px=total,
            )
            observer.tile_done(mark)
            image = (image * 3 + step + params.seed) % 251
            observer.iteration_done(
                ResumePoint(octave=octave, iteration=iteration + 1, image=image, tile_size=params.tile_size)
            )
            if step == total // 2 and self._failures[params.seed] > 0:
                self._failures[params.seed] -= 1
                raise OutOfMemory
        return image, SimReport(params.seed)
