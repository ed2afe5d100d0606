"""Accepts a submission as a job, or gives it up: the first part of a job's lifecycle."""

import contextlib
from collections.abc import Mapping
from typing import BinaryIO

import structlog

from shared.errors import DreamError, SubmissionGivenUp
from shared.interfaces import JobStore, Notifier, ObjectStorage
from shared.jobs.job import Job, Manifest, Pending
from shared.s3 import object_keys
from shared.s3.job_records import VOID, JobRecords

JSON = "application/json"

log = structlog.get_logger(__name__)


class Acceptance:
    """Implements the part of JobLifecycle that accepts and gives up submissions."""

    def __init__(self, storage: ObjectStorage, store: JobStore, notifier: Notifier) -> None:
        self._storage = storage
        self._store = store
        self._notifier = notifier
        self.records = JobRecords(storage)

    def accept(self, manifest: Manifest, pictures: Mapping[str, BinaryIO]) -> Job:
        """Accepts a submission as a job. Raises SubmissionGivenUp when it took too long.

        pictures: files by their keys in S3.
        Order: the images, `pending`, the manifest, Redis, a wake-up. Writing the manifest accepts the job, so
        everything that an attempt needs is stored before it, and so is `pending`, by which reconciliation finds the
        job after a crash. The job is accepted even if Redis is unavailable: the caretaker restores it.
        """
        try:
            for key, picture in pictures.items():
                self._storage.put(key, picture, content_type=_content_type(manifest, key))
            self._mark(object_keys.pending(manifest.id), 0)
        except (DreamError, OSError):
            self.discard(manifest.id)
            raise
        self._decide_to_accept(manifest)
        job = Job.from_manifest(manifest)
        try:
            self._introduce(job)
            self._notifier.notify_workers()
        except DreamError as exc:
            log.warning("job_not_introduced", job_id=job.id, reason=str(exc))
        return job

    def give_up(self, job_id: str) -> bool:
        """Gives a submission up permanently, unless it was accepted. Returns True if it is given up.

        From then on no process can accept it, however long that process was delayed, so its objects may be removed.
        A job that was accepted and has been deleted since has no manifest either; its tombstone was written before the
        manifest was removed.
        """
        manifest = object_keys.manifest(job_id)
        if not self._storage.put(manifest, VOID, content_type=JSON, if_absent=True):
            return self.records.fate(job_id) == "void"
        if self.records.is_deleted(job_id):
            self._storage.delete([manifest])
            return False
        return True

    def discard(self, job_id: str) -> None:
        """Removes the objects of a submission that was refused before its manifest was sent, or given up."""
        with contextlib.suppress(DreamError):  # without a manifest they are not a job; housekeeping removes them
            pictures = (key_of(job_id) for key_of in object_keys.PICTURES.values())
            self._storage.delete([object_keys.pending(job_id), *pictures])

    def _introduce(self, job: Job) -> bool:
        """Creates the job in Redis; removes it again and returns False if it is deleted.

        A delete that ran before found nothing in Redis to remove.
        """
        self._store.create(job)
        if not self.records.is_deleted(job.id):
            return True
        self._store.forget(job.id)
        return False

    def _decide_to_accept(self, manifest: Manifest) -> None:
        document = manifest.model_dump_json().encode()
        try:
            if self._storage.put(object_keys.manifest(manifest.id), document, content_type=JSON, if_absent=True):
                return
            given_up = self.records.fate(manifest.id) == "void"
        except DreamError:
            # The write may have taken effect, or may still do so. If giving up fails as well, housekeeping decides.
            if not self.give_up(manifest.id):
                return
            self.discard(manifest.id)
            raise
        if given_up:
            self.discard(manifest.id)
            raise SubmissionGivenUp

    def _mark(self, key: str, retry_count: int) -> None:
        self._storage.put(key, Pending(retry_count=retry_count).model_dump_json().encode(), content_type=JSON)


def _content_type(manifest: Manifest, key: str) -> str:
    pictures = {
        object_keys.image(manifest.id): manifest.input,
        object_keys.guide(manifest.id): manifest.guide,
        object_keys.mask(manifest.id): manifest.mask,
    }
    picture = pictures.get(key)
    return f"image/{picture.format}" if picture else "application/octet-stream"
