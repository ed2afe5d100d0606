"""How a submission becomes a job, or is given up: the first part of a job's lifecycle."""

import contextlib
from collections.abc import Mapping
from typing import BinaryIO

import structlog

from shared.errors import DreamError, SubmissionGivenUp
from shared.interfaces import JobStore, Notifier, ObjectStorage
from shared.jobs import Job, Manifest, Pending
from shared.s3 import object_keys
from shared.s3.job_records import VOID, JobRecords

JSON = "application/json"

log = structlog.get_logger(__name__)


class Acceptance:
    """Part of JobLifecycle."""

    def __init__(self, storage: ObjectStorage, store: JobStore, notifier: Notifier) -> None:
        self._storage = storage
        self._store = store
        self._notifier = notifier
        self.records = JobRecords(storage)

    def accept(self, manifest: Manifest, pictures: Mapping[str, BinaryIO]) -> Job:
        """Makes a submission a job that is owed an outcome. Raises SubmissionGivenUp when it took too long.

        Order: the pictures by their keys, `pending`, the manifest, Redis, a wake-up. The manifest accepts, so all that
        an attempt needs lies there by then, and `pending` before it, so that a crash after it is found. Without Redis
        the job is accepted all the same: the caretaker finds it.
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
        """Decides that a submission is no job, unless it was accepted. True if it is none.

        Whoever still wants to accept it comes too late, however long they were held up, so its objects may go.
        """
        if self._storage.put(object_keys.manifest(job_id), VOID, content_type=JSON, if_absent=True):
            return True
        return self.records.fate(job_id) == "void"

    def discard(self, job_id: str) -> None:
        """Removes what a submission stored that was refused before its manifest was sent, or given up."""
        with contextlib.suppress(DreamError):  # what is left is no job; housekeeping removes it
            places = (object_keys.image, object_keys.guide, object_keys.mask)
            self._storage.delete([object_keys.pending(job_id), *(place(job_id) for place in places)])

    def _introduce(self, job: Job) -> bool:
        """Creates the job in Redis. False if it is deleted: then whoever deleted it found nothing there to forget."""
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
            # It may have arrived, or may still do so. If even this fails, housekeeping decides.
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
    places = {
        object_keys.image(manifest.id): manifest.input,
        object_keys.guide(manifest.id): manifest.guide,
        object_keys.mask(manifest.id): manifest.mask,
    }
    picture = places.get(key)
    return f"image/{picture.format}" if picture else "application/octet-stream"
