"""Saves and loads resume points in S3: float-exact, checksummed, uploaded while the engine runs."""

import hashlib
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterable
from typing import BinaryIO

import numpy as np
import structlog
from pydantic import ValidationError

from shared.errors import DreamError
from shared.interfaces import ObjectStorage
from shared.jobs.job import Document, Job
from shared.jobs.lifecycle import JobLifecycle
from shared.s3 import object_keys
from worker.background import BackgroundTask
from worker.dream import scratch
from worker.dream.progress.observer import ResumePoint
from worker.dream.types import Image
from worker.monitoring import worker_metrics

log = structlog.get_logger(__name__)

CHECKPOINTS_KEPT = 2  # if the newest is corrupt, the one before it serves
RETRY_INTERVAL_S = 5.0  # between attempts to upload while Redis or S3 is unavailable
PIECE_BYTES = 1 << 20
DIGEST_BYTES = hashlib.sha256().digest_size


class Header(Document):
    """Describes a checkpoint in its first line, as JSON.

    The pixels follow as little-endian float32, then the SHA-256 of everything before it.
    """

    octave: int
    iteration: int
    tile_size: int
    height: int
    width: int


class Checkpoints:
    """Saves and loads one job's checkpoints.

    Uploads at most one at a time; a newer one that would have to wait is skipped.
    """

    def __init__(self, job: Job, *, storage: ObjectStorage, lifecycle: JobLifecycle) -> None:
        self._job = job
        self._storage = storage
        self._lifecycle = lifecycle
        self._keys: set[str] = set()  # known to this attempt; another attempt's are deleted when the job is settled
        self._uploads = BackgroundTask("checkpoint")
        self._stop_retrying = threading.Event()

    def save_in_background(self, point: ResumePoint) -> bool:
        """Spools the point and uploads it while the engine continues. Returns False if an upload is still running."""
        if self._uploads.busy:
            return False
        spool = _spool(point)
        return self._uploads.start(lambda: self._upload(point.octave, point.iteration, spool))

    def save(self, point: ResumePoint) -> None:
        """Uploads the point before it returns. Raises StorageUnavailable, StorageFull, StoreUnavailable (retryable)."""
        self.finish_uploads()
        with _spool(point) as spool:
            self._put(point.octave, point.iteration, spool)

    def finish_uploads(self) -> None:
        """Waits for the running upload, which from now on does not retry while Redis or S3 is unavailable."""
        self._stop_retrying.set()
        self._uploads.wait()

    def latest(
        self, keys: Iterable[str], wrap: Callable[[BinaryIO], BinaryIO] = lambda file: file
    ) -> ResumePoint | None:
        """Returns the furthest intact checkpoint; None to start from the beginning.

        keys: the keys of all objects of the job.
        wrap: wraps the file that the download is written to, so that the caller can observe the transfer.
        Raises StorageUnavailable (retryable).
        """
        self._keys = {key for key in keys if key.startswith(object_keys.checkpoints(self._job.id))}
        for key in sorted(self._keys, reverse=True):
            with tempfile.TemporaryFile() as file:
                if self._storage.download(key, wrap(file)) and (point := _read(file)):
                    return point
            log.warning("checkpoint_corrupt", key=key)
        return None

    def _upload(self, octave: int, iteration: int, spool: BinaryIO) -> None:
        with spool:
            while True:
                try:
                    self._put(octave, iteration, spool)
                except OSError as exc:  # from this machine's own disk
                    log.warning("checkpoint_failed", octave=octave, iteration=iteration, reason=str(exc))
                    return
                except DreamError as exc:
                    log.warning("checkpoint_delayed", octave=octave, iteration=iteration, reason=str(exc))
                    if not exc.retryable or self._stop_retrying.wait(RETRY_INTERVAL_S):
                        return
                else:
                    return

    def _put(self, octave: int, iteration: int, spool: BinaryIO) -> None:
        key = object_keys.checkpoint(self._job.id, octave, iteration, self._job.claim or "")
        _seal(spool)
        superseded = sorted(known for known in {*self._keys, key} if known <= key)[:-CHECKPOINTS_KEPT]
        begun = time.monotonic()
        self._lifecycle.checkpoint(self._job, key, spool, superseded)
        worker_metrics.CHECKPOINT.observe(time.monotonic() - begun)
        self._keys = {*self._keys, key} - set(superseded)
        log.info("checkpoint_saved", octave=octave, iteration=iteration)


def _spool(point: ResumePoint) -> BinaryIO:
    """Copies the point to a temporary file, on disk because the engine needs the memory.

    The engine may change the pixels again once this returns.
    """
    image = point.image
    height, width, _ = image.shape
    header = Header(
        octave=point.octave, iteration=point.iteration, tile_size=point.tile_size, height=height, width=width
    )
    file = tempfile.TemporaryFile()  # noqa: SIM115 - the upload closes it
    file.write(header.model_dump_json().encode() + b"\n")
    for rows in scratch.bands(height, width):
        file.write(np.ascontiguousarray(image[rows], dtype="<f4").data)
    return file


def _seal(file: BinaryIO) -> None:
    """Appends the checksum if it is missing, and rewinds. Called on the upload thread, so the engine does not wait."""
    file.flush()
    pixels_end = _pixels_end(file)
    if os.fstat(file.fileno()).st_size == pixels_end:
        digest = _digest(file, pixels_end)
        file.seek(pixels_end)
        file.write(digest)
        file.flush()
    file.seek(0)


def _read(file: BinaryIO) -> ResumePoint | None:
    """Reads a checkpoint. Returns None if the file is not intact; checks its size before allocating memory for it."""
    file.flush()
    try:
        end = _pixels_end(file)
    except ValidationError:
        return None
    if os.fstat(file.fileno()).st_size != end + DIGEST_BYTES:
        return None
    digest = _digest(file, end)
    if file.read(DIGEST_BYTES) != digest:
        return None
    file.seek(0)
    header = Header.model_validate_json(file.readline())
    image: Image = scratch.empty((header.height, header.width, 3))
    for rows in scratch.bands(header.height, header.width):
        file.readinto(image[rows].data.cast("B"))  # type: ignore[attr-defined]
    return ResumePoint(octave=header.octave, iteration=header.iteration, image=image, tile_size=header.tile_size)


def _pixels_end(file: BinaryIO) -> int:
    """Returns the offset, in bytes, at which the pixels end according to the header. Raises ValidationError."""
    file.seek(0)
    header = Header.model_validate_json(file.readline(4096))
    return file.tell() + header.height * header.width * 3 * 4


def _digest(file: BinaryIO, end: int) -> bytes:
    """Returns the SHA-256 of the bytes up to `end`, and leaves the file positioned there."""
    sha256 = hashlib.sha256()
    file.seek(0)
    while piece := file.read(min(PIECE_BYTES, end - file.tell())):
        sha256.update(piece)
    return sha256.digest()
