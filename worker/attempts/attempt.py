"""One attempt at one job: fetch the photograph, dream, store the pictures."""

import hashlib
import tempfile
from collections.abc import Collection
from typing import BinaryIO, cast

import structlog

from shared.clock import Clock
from shared.errors import DreamError, ImageUnreadable
from shared.images.header import HARD_TO_SHOW
from shared.interfaces import JobStore, ObjectStorage
from shared.jobs.job import Job
from shared.jobs.lifecycle import JobLifecycle
from shared.params import DreamParams, Format
from shared.s3 import object_keys
from shared.settings import Settings
from worker import images
from worker.attempts.checkpoints import Checkpoints
from worker.attempts.dreamer import Dreamer
from worker.attempts.lease import LeaseKeeper
from worker.attempts.outputs import Outputs
from worker.attempts.patience import Patience
from worker.background import ActivityFile
from worker.dream.feature_maps import FeatureMapsReport
from worker.dream.guide import shrunk
from worker.dream.inputs import Inputs
from worker.dream.progress.observer import EngineProgress, ResumePoint
from worker.dream.report import Report
from worker.dream.types import Image
from worker.images.raster import Samples
from worker.monitoring import worker_metrics

log = structlog.get_logger(__name__)

PREVIEW_INTERVAL_S = 2.0
CHECKPOINT_SHARE = 0.03  # of the time, which checkpoints may cost at most
CHECKPOINT_COST = 4  # times the spooling: hashing and sending take a core meanwhile, 0.3 + 1.1 ns per byte on 2 cores

# The longest that a phase may go without a move: far above what a slow machine needs, far below a night.
STALL_FETCH_S, STALL_DECODE_S, STALL_LOAD_S, STALL_DREAM_S, STALL_STORE_S = 120.0, 300.0, 600.0, 600.0, 300.0


def sha256_of(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").hexdigest()  # type: ignore[arg-type]  # temporary files are unnamed types


class Attempt:
    """Observes the dream that it runs: checkpoints, previews and the lease depend on the engine's calls."""

    def __init__(
        self,
        job: Job,
        *,
        store: JobStore,
        storage: ObjectStorage,
        lifecycle: JobLifecycle,
        dreamer: Dreamer,
        lease: LeaseKeeper,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._job = job
        self._store = store
        self._storage = storage
        self._lifecycle = lifecycle
        self._dreamer = dreamer
        self._lease = lease
        self._clock = clock
        self._settings = settings
        self._checkpoints = Checkpoints(job, storage=storage, lifecycle=lifecycle)
        self.patiently = Patience(lease=lease, clock=clock, settings=settings).run
        self._outputs = Outputs(job, store=store, storage=storage, lease=lease, patiently=self.patiently)
        self._saved_at = clock.monotonic()
        self._previewed_at = clock.monotonic()
        self._last: ResumePoint | None = None
        self._due = False  # a checkpoint
        self._spool_s_per_byte = 0.0
        self._last_saved = False
        self._sha256: dict[str, str] = {}  # of the pictures that came with the job
        self._alpha: Samples | None = None  # of the photograph
        self._warnings: tuple[str, ...] = ()  # for the report
        self._pace = worker_metrics.Pace()

    def run(self, kept: Collection[str]) -> None:
        """Runs the whole attempt, up to the commit. Raises what ended it early.

        kept: the keys of what lies with the job.
        """
        self._lease.enter("load", stall_s=STALL_LOAD_S)
        self._dreamer.load(self._job.params.model)
        self._lease.enter("fetch", stall_s=STALL_FETCH_S)
        resume = self.patiently(lambda: self._checkpoints.latest(kept, self._watched))
        params = self._fix_tile_size(resume)
        inputs = Inputs(
            guide=shrunk(self._fetch("guide").image) if self._job.guide else None,
            mask=images.mask_of(self._fetch("mask", paper=True).image) if self._job.mask else None,
        )
        keep_gradient = self._outputs.store_gradient if params.keep_gradients else None
        with self._dreamer.share(self._job, params, inputs.guide) as shared:
            # The engine consumes the photograph: no name here may keep it alive.
            result, report = self._dreamer.dream(
                self._photograph(params, resume),
                params,
                inputs=inputs,
                keep_gradient=keep_gradient,
                observer=self,
                resume=resume,
                helpers=shared,
            )
        if shared is not None:
            report = report.with_helpers(shared.tiles)
        self._lease.enter("store", stall_s=STALL_STORE_S)
        self._store_outputs(result, params.format, report)

    def tile_done(self, mark: EngineProgress) -> None:
        self._pace.update(mark, self._clock.monotonic())
        self._lease.report(mark)

    def iteration_done(self, point: ResumePoint) -> None:
        if self._last is None:
            self._begun()
        self._last, self._last_saved = point, False
        now = self._clock.monotonic()
        octave_ended = point.iteration == self._params.iterations
        if octave_ended:
            self._pace.octave_done(now)
        self._due |= octave_ended or now - self._saved_at >= self._settings.checkpoint_interval_s
        if self._due and now - self._saved_at >= self._rest_s(point) and self._save_in_background(point):
            saved_at = self._clock.monotonic()
            self._spool_s_per_byte = (saved_at - now) / point.image.nbytes
            self._due, self._last_saved, self._saved_at = False, True, saved_at
        if now - self._previewed_at >= PREVIEW_INTERVAL_S and not self._outputs.busy:
            self._previewed_at = now
            self._outputs.show(point.image)

    def _rest_s(self, point: ResumePoint) -> float:
        """Returns how long, in seconds, the engine runs at least before it is held up by this checkpoint."""
        return self._spool_s_per_byte * point.image.nbytes * CHECKPOINT_COST / CHECKPOINT_SHARE

    def _begun(self) -> None:
        log.info("first_iteration_completed", since_submission_s=self._since_submission_s())
        if self._job.attempt == 1:
            worker_metrics.FIRST_ITERATION.observe(max(0.0, self._since_submission_s()))

    def _since_submission_s(self) -> float:
        return round(self._clock.now() - self._job.created_at, 4)

    def save_progress(self) -> None:
        """Leaves the furthest point for another worker. Best effort: without it an earlier checkpoint serves."""
        self._checkpoints.finish_uploads()
        if self._last is not None and not self._last_saved:
            try:
                self._checkpoints.save(self._last)
            except (DreamError, OSError) as exc:
                log.warning("checkpoint_failed", reason=str(exc))

    def discard(self) -> None:
        """Removes what an attempt stored whose outputs don't count, and its checkpoints if no attempt needs them."""
        self._checkpoints.finish_uploads()
        self._outputs.wait()
        records = self._lifecycle.records
        if records.is_deleted(self._job.id):
            self._lifecycle.delete(self._job.id)
            return
        outcome = records.outcome(self._job.id, self._job.retry_count)
        if outcome is None and self._lease.is_committing:
            return  # ours may have been sent and still arrive; housekeeping sweeps if it does not
        if outcome is None or outcome.claim != self._job.claim:
            self._storage.delete(self._storage.keys(object_keys.output(self._job.id, self._job.claim or "", "")))
        if outcome is not None:
            self._lifecycle.sweep(self._job.id, outcome)

    def finish_uploads(self) -> None:
        """Waits for the running uploads of a checkpoint and a preview."""
        self._checkpoints.finish_uploads()
        self._outputs.wait()

    @property
    def _params(self) -> DreamParams:
        return cast(DreamParams, self._job.params)  # the runner gives feature maps to another attempt

    def _photograph(self, params: DreamParams, resume: ResumePoint | None) -> Image:
        image = self._fetch_image()
        log.info(
            "dream_started",
            resumed_from=resume and f"{resume.octave}-{resume.iteration}",
            tile_size=params.tile_size,
            since_submission_s=self._since_submission_s(),
        )
        return image

    def _fetch_image(self) -> Image:
        decoded = self._fetch("image")
        self._alpha = decoded.alpha
        if self._job.input.format in HARD_TO_SHOW:
            self._outputs.store_photograph(decoded.image)
        return decoded.image

    def _fetch(self, part: str, *, paper: bool = False) -> images.Decoded:
        """Returns the image, the guide or the mask, decoded; keeps what was ignored for the report."""
        key = object_keys.PICTURES[part](self._job.id)
        self._lease.enter("fetch", stall_s=STALL_FETCH_S)
        with tempfile.TemporaryFile() as file:

            def download() -> bool:
                file.seek(0)
                file.truncate()
                return self._storage.download(key, self._watched(file))

            if not self.patiently(download):
                raise ImageUnreadable(f"The {part} is no longer in the object storage.")
            self._sha256[part] = sha256_of(file)
            self._lease.enter("decode", stall_s=STALL_DECODE_S)
            file.seek(0)
            decoded = images.decode(
                file, max_pixels=self._settings.max_pixels, formats=self._settings.formats, paper=paper
            )
            whose = "" if part == "image" else f"The {part}: "  # of three pictures, which one
            sent = {"image": self._job.input, "guide": self._job.guide, "mask": self._job.mask}[part]
            notes = (*(sent.notes if sent else ()), *decoded.notes)
            self._warnings += tuple(whose + note for note in dict.fromkeys(notes))
            self._lease.enter("dream", stall_s=STALL_DREAM_S)
            return decoded

    def _fix_tile_size(self, resume: ResumePoint | None) -> DreamParams:
        # A resumed dream is only the same picture with the same tiles, so the checkpoint's tile size takes precedence.
        height, width = self._job.input.height, self._job.input.width
        params = self._params
        chosen = resume.tile_size if resume else self._dreamer.choose_tile_size(params, height, width)
        fixed = self.patiently(lambda: self._store.fix_tile_size(self._job, chosen))
        if chosen < fixed and not resume:
            self._warnings += (f"Tiles of {fixed} pixels do not fit this worker's memory; it used {chosen}.",)
        return params.model_copy(update={"tile_size": chosen if resume else min(fixed, chosen)})

    def _save_in_background(self, point: ResumePoint) -> bool:
        try:
            return self._checkpoints.save_in_background(point)
        except OSError as exc:  # no room on this machine's own disk
            log.warning("checkpoint_failed", reason=str(exc))
            return True

    def _watched(self, file: BinaryIO) -> BinaryIO:
        return cast(BinaryIO, ActivityFile(file, self._lease.touch))

    def _store_outputs(self, result: Image, format: Format, report: Report | FeatureMapsReport) -> None:  # noqa: A002
        recipe = {**report.recipe(), "kind": self._job.kind, "inputs": self._sha256}
        warnings = self._outputs.store_result(result, format=format, recipe=recipe, alpha=self._alpha)
        self._outputs.store_report(report.with_warnings((*self._warnings, *warnings)))
