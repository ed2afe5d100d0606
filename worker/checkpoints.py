"""Resume points in S3: float-exact, checksummed, written beside the running dream."""

import hashlib
import tempfile
from concurrent.futures import Future, ThreadPoolExecutor
from typing import BinaryIO

import numpy as np
import structlog
from pydantic import ValidationError

from shared import layout
from shared.errors import DreamError
from shared.jobs import Document, Job
from shared.ports import Blobs, Store
from worker.dream.watch import Image, ResumePoint

log = structlog.get_logger(__name__)

KEPT = 2  # a corrupt one falls back to the one before


class Header(Document):
    """The first line of a checkpoint; the pixels follow, little-endian float32."""

    octave: int
    iteration: int
    tile_size: int
    height: int
    width: int
    sha256: str


class Checkpoints:
    """One job's checkpoints. At most one is on its way at a time; a newer one that would have to wait is skipped."""

    def __init__(self, job: Job, *, store: Store, blobs: Blobs) -> None:
        self._job = job
        self._store = store
        self._blobs = blobs
        self._uploads = ThreadPoolExecutor(max_workers=1, thread_name_prefix="checkpoint")
        self._upload: Future[None] | None = None

    def save_beside(self, point: ResumePoint) -> bool:
        """Spools the point and uploads it while the dream goes on. False if the last one is still on its way."""
        if self._upload is not None and not self._upload.done():
            return False
        spool = _spool(point)
        self._upload = self._uploads.submit(self._upload_logged, point.octave, point.iteration, spool)
        return True

    def save(self, point: ResumePoint) -> None:
        """Uploads the point before it returns. Raises BlobsUnavailable, BlobsFull, StoreUnavailable (retryable)."""
        self.settle()
        self._put(point.octave, point.iteration, _spool(point))

    def settle(self) -> None:
        """Waits for the one on its way."""
        if self._upload is not None:
            self._upload.result()
            self._upload = None

    def close(self) -> None:
        self._uploads.shutdown(wait=True)

    def latest(self) -> ResumePoint | None:
        """The furthest one that is whole, None to start afresh. Raises BlobsUnavailable (retryable)."""
        for key in sorted(self._blobs.keys(layout.checkpoints(self._job.id)), reverse=True):
            with tempfile.TemporaryFile() as file:
                if self._blobs.download(key, file) and (point := _read(file)):
                    return point
            log.warning("checkpoint_corrupt", key=key)
        return None

    def _upload_logged(self, octave: int, iteration: int, spool: BinaryIO) -> None:
        try:
            self._put(octave, iteration, spool)
        except DreamError as exc:  # the dream goes on from memory; the next checkpoint catches up
            log.warning("checkpoint_skipped", octave=octave, iteration=iteration, reason=str(exc))

    def _put(self, octave: int, iteration: int, spool: BinaryIO) -> None:
        key = layout.checkpoint(self._job.id, octave, iteration, self._job.claim or "")
        with spool:
            self._blobs.put(key, spool)
        self._store.checkpointed(self._job)
        older = sorted(k for k in self._blobs.keys(layout.checkpoints(self._job.id)) if k < key)
        self._blobs.delete(older[: -(KEPT - 1)])
        log.info("checkpointed", octave=octave, iteration=iteration)


def _spool(point: ResumePoint) -> BinaryIO:
    pixels = np.ascontiguousarray(point.image, dtype="<f4")
    height, width, _ = pixels.shape
    header = Header(
        octave=point.octave,
        iteration=point.iteration,
        tile_size=point.tile_size,
        height=height,
        width=width,
        sha256=hashlib.sha256(pixels.data).hexdigest(),
    )
    file = tempfile.TemporaryFile()  # noqa: SIM115 - closed by the upload; on disk, since memory is for the dream
    file.write(header.model_dump_json().encode() + b"\n")
    file.write(pixels.data)
    file.seek(0)
    return file


def _read(file: BinaryIO) -> ResumePoint | None:
    file.seek(0)
    try:
        header = Header.model_validate_json(file.readline(4096))
    except ValidationError:
        return None
    image: Image = np.empty((header.height, header.width, 3), np.float32)
    if file.readinto(image.data.cast("B")) != image.nbytes or file.read(1):  # type: ignore[attr-defined]
        return None
    if hashlib.sha256(image.data).hexdigest() != header.sha256:
        return None
    return ResumePoint(octave=header.octave, iteration=header.iteration, image=image, tile_size=header.tile_size)
