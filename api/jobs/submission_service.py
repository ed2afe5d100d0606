"""How a job is accepted: checked, made durable, and once only, however often it is sent. Knows no HTTP."""

import contextlib
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ulid import ULID

from api.jobs.image_header import sniff
from api.jobs.submission import Picture, Sent, Submission
from api.schemas.requests import JobOptions
from shared import lifecycle
from shared.clock import Clock
from shared.errors import (
    DreamError,
    IdempotencyKeyInFlight,
    IdempotencyKeyReused,
    ImageTooLarge,
    ImageUnreadable,
    InvalidField,
    StoreUnavailable,
    TooManyQueued,
    UnsupportedImage,
    WrongState,
)
from shared.interfaces import JobStore, Notifier, ObjectStorage, PresignedForm
from shared.job_events import JobQueries
from shared.jobs import Document, InputImage, Job, Manifest, Webhook
from shared.networks.catalog import check_size, resolve, resolve_maps
from shared.params import DreamParams, Params
from shared.s3 import object_keys
from shared.webhooks import outbound

logger = logging.getLogger(__name__)

IN_FLIGHT_S = 60.0  # a reservation this old without a job was left by a process that died
UPLOAD_URL_S = 3600  # how long an upload's form can be used


class Reservation(Document):
    """`idempotency/{owner}/{key hash}`: the job that the key's first request makes."""

    job_id: str
    fingerprint: str
    at: float  # Unix time, seconds


@dataclass(frozen=True, kw_only=True)
class Accepted:
    job: Job
    replayed: bool  # it had been accepted before


@dataclass(frozen=True, kw_only=True)
class SubmissionService:
    """Takes jobs in. Nothing is stored of a request that is refused."""

    store: JobStore
    storage: ObjectStorage
    notifier: Notifier
    job_queries: JobQueries
    clock: Clock
    max_pixels: int
    max_bytes: int
    max_queued: int
    webhook_networks: tuple[str, ...] = ()

    def upload(self, owner: str, *, size_bytes: int | None = None) -> tuple[str, PresignedForm]:
        """The id and the form for one picture that goes straight to S3. Raises ImageTooLarge for an announced size."""
        if size_bytes is not None and size_bytes > self.max_bytes:
            raise ImageTooLarge(f"The image has {size_bytes:,} bytes; this service accepts {self.max_bytes:,}.")
        upload_id = str(ULID.from_timestamp(self.clock.now()))
        form = self.storage.presigned_post(
            object_keys.upload(owner, upload_id), expires_s=UPLOAD_URL_S, max_bytes=self.max_bytes
        )
        return upload_id, form

    def submit(self, owner: str, submission: Submission, *, key: str | None = None) -> Accepted:
        """The accepted job. Once this returns it is owed an outcome, whatever happens to Redis.

        key: makes the submission safe to repeat. Raises InvalidField, one of the image errors, TooManyQueued,
        IdempotencyKeyReused or IdempotencyKeyInFlight before anything is stored.
        """
        params = _resolved(submission)
        job_id = str(ULID.from_timestamp(self.clock.now()))
        if key is None:
            return Accepted(job=self._accept(owner, submission, params, job_id), replayed=False)
        place = object_keys.idempotency(owner, hashlib.sha256(key.encode()).hexdigest())
        reservation = Reservation(job_id=job_id, fingerprint=submission.fingerprint(), at=self.clock.now())
        if not self._reserve(place, reservation):
            first, job = self._first(place, reservation)
            if job:
                return Accepted(job=job, replayed=True)
            job_id = first.job_id  # its process died; the same id again can't become two jobs
        try:
            return Accepted(job=self._accept(owner, submission, params, job_id), replayed=False)
        except DreamError:
            with contextlib.suppress(DreamError):  # then it is taken over later
                self.storage.delete([place])
            raise

    def _reserve(self, place: str, reservation: Reservation) -> bool:
        return self.storage.put(
            place, reservation.model_dump_json().encode(), content_type="application/json", if_absent=True
        )

    def _first(self, place: str, ours: Reservation) -> tuple[Reservation, Job | None]:
        """The first request of this key and its job, None if that request never got to it."""
        document = self.storage.get(place)
        if document is None:  # refused and taken back between our two looks
            raise IdempotencyKeyInFlight
        first = Reservation.model_validate_json(document)
        if first.fingerprint != ours.fingerprint:
            raise IdempotencyKeyReused
        job = self.store.get(first.job_id) or lifecycle.recall(self.storage, first.job_id)
        if job is None and lifecycle.is_deleted(self.storage, first.job_id):
            raise WrongState("The job that this Idempotency-Key made was deleted; use a new key for a new job.")
        if job is None and self.clock.now() - first.at < IN_FLIGHT_S:
            raise IdempotencyKeyInFlight
        return first, job

    def _accept(self, owner: str, submission: Submission, params: Params, job_id: str) -> Job:
        self._refuse_too_many(owner)
        now = self.clock.now()
        options = submission.options
        place = object_keys.image(job_id)
        with (
            self._swept_on_failure(job_id),
            self._checked(owner, submission.image, "image", place) as (header, file),
            contextlib.ExitStack() as opened,
        ):
            if isinstance(params, DreamParams):
                check_size(params, header.height, header.width, max_pixels=self.max_pixels, path="params.")
            beside = {
                name: opened.enter_context(self._checked(owner, picture, name, f"{object_keys.job(job_id)}{name}"))
                for name, picture in submission.beside.items()
            }
            manifest = Manifest(
                id=job_id,
                kind=options.kind,
                owner=owner,
                priority=options.priority,
                params=params,
                input=header,
                guide=beside["guide"][0] if "guide" in beside else None,
                mask=beside["mask"][0] if "mask" in beside else None,
                created_at=now,
                deadline_at=None if options.deadline_s is None else now + options.deadline_s,
                webhook=self._webhook(options),
            )
            files = {f"{object_keys.job(job_id)}{name}": sent for name, (_, sent) in beside.items() if sent is not None}
            lifecycle.accept(self.storage, manifest, file, beside=files)
        job = Job.from_manifest(manifest)
        self._announce(job)
        return job

    def _webhook(self, options: JobOptions) -> Webhook | None:
        if options.webhook_url is None:
            return None
        outbound.check_url(options.webhook_url, self.webhook_networks, path="webhook_url")
        return Webhook(url=options.webhook_url, events=options.webhook_events)

    def _refuse_too_many(self, owner: str) -> None:
        with contextlib.suppress(StoreUnavailable):  # jobs are accepted while Redis is away
            if self.job_queries.queued(owner) >= self.max_queued:
                raise TooManyQueued

    @contextlib.contextmanager
    def _checked(
        self, owner: str, image: Picture, field: str, place: str
    ) -> Iterator[tuple[InputImage, BinaryIO | None]]:
        """What the picture's header says, and the file, None where it lies at its place already."""
        if isinstance(image, Sent):
            yield self._sniffed(image.file, field), image.file
            return
        # Copied first: an upload's form can be used again, so what is checked must be what the job keeps.
        if not (is_ulid(image.upload_id) and self._take(owner, image.upload_id, place)):
            raise InvalidField(
                "there is no such upload; it was never finished, or is long past", path=f"{field}.upload"
            )
        with tempfile.TemporaryFile() as copy:
            self.storage.download(place, copy)
            yield self._sniffed(copy, field), None

    def _sniffed(self, file: BinaryIO, field: str) -> InputImage:
        try:
            return sniff(file, max_pixels=self.max_pixels)
        except (ImageUnreadable, ImageTooLarge, UnsupportedImage) as exc:
            if field == "image":
                raise
            raise type(exc)(f"The {field}: {exc}") from exc  # of three pictures, which one

    def _take(self, owner: str, upload_id: str, place: str) -> bool:
        return self.storage.copy(object_keys.upload(owner, upload_id), place)

    def _announce(self, job: Job) -> None:
        # The job is durable by now: a refusal here would make the client submit it twice. The caretaker finds it.
        try:
            self.store.create(job)
            self.notifier.notify_workers()
        except StoreUnavailable:
            logger.warning("job %s accepted while Redis is away; the caretaker will see to it", job.id)

    @contextlib.contextmanager
    def _swept_on_failure(self, job_id: str) -> Iterator[None]:
        try:
            yield
        except DreamError:  # storage away or full, or a picture that was refused after it was copied
            with contextlib.suppress(DreamError):  # away is away; what is left is not pending, and retention takes it
                places = (object_keys.manifest, object_keys.image, object_keys.guide, object_keys.mask)
                self.storage.delete([object_keys.pending(job_id), *(place(job_id) for place in places)])
            raise


def _resolved(submission: Submission) -> Params:
    if isinstance(submission.params, DreamParams):
        return resolve(submission.params, path="params.")
    for name in submission.beside:
        raise InvalidField(f"feature maps are drawn of the image alone; leave the {name} out", path=name)
    return resolve_maps(submission.params, path="params.")


def is_ulid(text: str) -> bool:
    try:
        return str(ULID.from_str(text)) == text
    except ValueError:
        return False
