"""How a job is accepted: checked, made durable, and once only, however often it is sent. Knows no HTTP."""

import contextlib
import hashlib
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

from ulid import ULID

from api.schemas.requests import JobOptions
from api.sniff import sniff
from api.submission import Picture, Sent, Submission
from shared import layout, ledger, outbound
from shared.catalog import check_size, resolve, resolve_maps
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
from shared.follow import Feed
from shared.jobs import Document, InputImage, Job, Manifest, Webhook
from shared.params import DreamParams, Params
from shared.ports import Blobs, Doorbell, Presigned, Store

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
class Intake:
    """Takes jobs in. Nothing is stored of a request that is refused."""

    store: Store
    blobs: Blobs
    doorbell: Doorbell
    feed: Feed
    clock: Clock
    max_pixels: int
    max_bytes: int
    max_queued: int
    webhook_networks: tuple[str, ...] = ()

    def upload(self, owner: str, *, size_bytes: int | None = None) -> tuple[str, Presigned]:
        """The id and the form for one picture that goes straight to S3. Raises ImageTooLarge for an announced size."""
        if size_bytes is not None and size_bytes > self.max_bytes:
            raise ImageTooLarge(f"The image has {size_bytes:,} bytes; this service accepts {self.max_bytes:,}.")
        upload_id = str(ULID.from_timestamp(self.clock.now()))
        form = self.blobs.presigned_post(
            layout.upload(owner, upload_id), expires_s=UPLOAD_URL_S, max_bytes=self.max_bytes
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
        place = layout.idempotency(owner, hashlib.sha256(key.encode()).hexdigest())
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
                self.blobs.delete([place])
            raise

    def _reserve(self, place: str, reservation: Reservation) -> bool:
        return self.blobs.put(
            place, reservation.model_dump_json().encode(), content_type="application/json", if_absent=True
        )

    def _first(self, place: str, ours: Reservation) -> tuple[Reservation, Job | None]:
        """The first request of this key and its job, None if that request never got to it."""
        document = self.blobs.get(place)
        if document is None:  # refused and taken back between our two looks
            raise IdempotencyKeyInFlight
        first = Reservation.model_validate_json(document)
        if first.fingerprint != ours.fingerprint:
            raise IdempotencyKeyReused
        job = self.store.get(first.job_id) or ledger.recall(self.blobs, first.job_id)
        if job is None and ledger.is_deleted(self.blobs, first.job_id):
            raise WrongState("The job that this Idempotency-Key made was deleted; use a new key for a new job.")
        if job is None and self.clock.now() - first.at < IN_FLIGHT_S:
            raise IdempotencyKeyInFlight
        return first, job

    def _accept(self, owner: str, submission: Submission, params: Params, job_id: str) -> Job:
        self._refuse_too_many(owner)
        now = self.clock.now()
        options = submission.options
        place = layout.image(job_id)
        with (
            self._swept_on_failure(job_id),
            self._checked(owner, submission.image, "image", place) as (header, file),
            contextlib.ExitStack() as opened,
        ):
            if isinstance(params, DreamParams):
                check_size(params, header.height, header.width, max_pixels=self.max_pixels, path="params.")
            beside = {
                name: opened.enter_context(self._checked(owner, picture, name, f"{layout.job(job_id)}{name}"))
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
            files = {f"{layout.job(job_id)}{name}": sent for name, (_, sent) in beside.items() if sent is not None}
            ledger.accept(self.blobs, manifest, file, beside=files)
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
            if self.feed.queued(owner) >= self.max_queued:
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
            self.blobs.download(place, copy)
            yield self._sniffed(copy, field), None

    def _sniffed(self, file: BinaryIO, field: str) -> InputImage:
        try:
            return sniff(file, max_pixels=self.max_pixels)
        except (ImageUnreadable, ImageTooLarge, UnsupportedImage) as exc:
            if field == "image":
                raise
            raise type(exc)(f"The {field}: {exc}") from exc  # of three pictures, which one

    def _take(self, owner: str, upload_id: str, place: str) -> bool:
        return self.blobs.copy(layout.upload(owner, upload_id), place)

    def _announce(self, job: Job) -> None:
        # The job is durable by now: a refusal here would make the client submit it twice. The caretaker finds it.
        try:
            self.store.create(job)
            self.doorbell.ring()
        except StoreUnavailable:
            logger.warning("job %s accepted while Redis is away; the caretaker will see to it", job.id)

    @contextlib.contextmanager
    def _swept_on_failure(self, job_id: str) -> Iterator[None]:
        try:
            yield
        except DreamError:  # storage away or full, or a picture that was refused after it was copied
            with contextlib.suppress(DreamError):  # away is away; what is left is not pending, and retention takes it
                places = (layout.manifest, layout.image, layout.guide, layout.mask)
                self.blobs.delete([layout.pending(job_id), *(place(job_id) for place in places)])
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
