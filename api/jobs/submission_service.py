"""Accepts submissions: validates them, makes them durable, and accepts each only once. Independent of HTTP."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import BinaryIO

from ulid import ULID

from api.jobs.disk_budget import DiskBudget
from api.jobs.idempotency import KEY_OF_DELETED, IdempotencyKeys, KeyedRequest
from api.jobs.image_intake import ImageIntake
from api.jobs.submission import Submission
from api.schemas.requests import JobOptions
from shared.clock import Clock
from shared.errors import (
    DreamError,
    ImageTooLarge,
    InvalidField,
    StoreUnavailable,
    SubmissionGivenUp,
    TooManyQueued,
    WrongState,
)
from shared.images.header import Format as ImageFormat
from shared.interfaces import JobStore, Notifier, ObjectStorage, PresignedForm
from shared.jobs.job import InputImage, Job, Manifest, Webhook
from shared.jobs.lifecycle import JobLifecycle
from shared.networks.catalog import (
    changed_since,
    check_guide_size,
    check_maps_size,
    check_size,
    check_work,
    find_preset,
    merge,
    resolve,
    resolve_maps,
)
from shared.params import DreamParams, Params
from shared.s3 import object_keys
from shared.webhooks import outbound

UPLOAD_URL_S = 3600  # how long an upload's form can be used
ADMITTED_S = 300.0  # a submission that takes longer no longer counts as waiting


@dataclass(frozen=True, kw_only=True)
class Accepted:
    job: Job
    replayed: bool  # it had been accepted before


@dataclass(frozen=True, kw_only=True)
class SubmissionService:
    """Accepts jobs. Nothing is stored of a request that is refused."""

    store: JobStore
    storage: ObjectStorage
    notifier: Notifier
    clock: Clock
    max_pixels: int
    max_work: int  # pixels x iterations
    max_bytes: int
    max_queued: int
    disk: DiskBudget
    formats: tuple[ImageFormat, ...] | None = None  # those that are accepted; all of them when None
    strip_inputs: bool = False
    webhook_networks: tuple[str, ...] = ()
    public_url: str | None = None  # begins the links in webhooks; else the address to which the job was submitted

    def __post_init__(self) -> None:
        lifecycle = JobLifecycle(self.storage, self.store, self.notifier)
        object.__setattr__(self, "lifecycle", lifecycle)
        object.__setattr__(self, "keys", IdempotencyKeys(self.storage, lifecycle, self.clock))
        intake = ImageIntake(
            storage=self.storage,
            disk=self.disk,
            max_pixels=self.max_pixels,
            formats=self.formats,
            strip_inputs=self.strip_inputs,
        )
        object.__setattr__(self, "intake", intake)

    lifecycle: JobLifecycle = field(init=False, repr=False)
    keys: IdempotencyKeys = field(init=False, repr=False)
    intake: ImageIntake = field(init=False, repr=False)

    def upload(self, owner: str, *, size_bytes: int | None = None) -> tuple[str, PresignedForm]:
        """Returns the id and the form for one picture that goes straight to S3.

        Raises ImageTooLarge for an announced size.
        """
        if size_bytes is not None and size_bytes > self.max_bytes:
            raise ImageTooLarge(f"The image has {size_bytes:,} bytes; this service accepts {self.max_bytes:,}.")
        upload_id = str(ULID.from_timestamp(self.clock.now()))
        form = self.storage.presigned_post(
            object_keys.upload(owner, upload_id), expires_s=UPLOAD_URL_S, max_bytes=self.max_bytes
        )
        return upload_id, form

    def submit(self, owner: str, submission: Submission, *, key: str | None = None) -> Accepted:
        """Returns the accepted job. Once this returns it is owed an outcome, whatever happens to Redis.

        key: makes the submission safe to repeat. Raises InvalidField, one of the image errors, TooManyQueued,
        IdempotencyKeyReused or IdempotencyKeyInFlight before anything is stored.
        """
        params = _resolved(submission)
        request = KeyedRequest(owner=owner, key=key, fingerprint=submission.fingerprint()) if key is not None else None
        winner = self.keys.winner(request) if request else None
        if winner is not None:
            return self._replayed(winner)
        job_id = str(ULID.from_timestamp(self.clock.now()))
        self._admit(owner, job_id)
        with contextlib.ExitStack() as opened:
            try:
                manifest, pictures = self._manifest(owner, submission, params, job_id, opened)
                winner = self.keys.reserve(request, job_id) if request else None
            except DreamError:
                self._undo(owner, job_id)
                raise
            if winner is None:
                return self._accept(manifest, pictures, request)
        self._undo(owner, job_id)
        return self._replayed(winner)

    def _accept(self, manifest: Manifest, pictures: dict[str, BinaryIO], request: KeyedRequest | None) -> Accepted:
        """Leaves all removal to the lifecycle: the job may be accepted although a response is missing."""
        try:
            return Accepted(job=self.lifecycle.accept(manifest, pictures), replayed=False)
        except DreamError as exc:
            self._withdraw(manifest.owner, manifest.id)
            if request is None:
                raise
            if isinstance(exc, SubmissionGivenUp) and (winner := self.keys.winner(request)) is not None:
                return self._replayed(winner)
            with contextlib.suppress(DreamError):  # so that the key's next request need not wait
                self.lifecycle.give_up(manifest.id)
            raise

    def _replayed(self, job_id: str) -> Accepted:
        job = None
        with contextlib.suppress(StoreUnavailable):
            job = self.store.get(job_id)
        job = job or self.lifecycle.records.recall(job_id)
        if job is None:
            raise WrongState(KEY_OF_DELETED)
        return Accepted(job=job, replayed=True)

    def _admit(self, owner: str, job_id: str) -> None:
        """Holds a place in the owner's queue, which the accepted job takes. Raises TooManyQueued."""
        with contextlib.suppress(StoreUnavailable):  # jobs are accepted while Redis is unavailable
            if not self.store.admit(owner, job_id, limit=self.max_queued, ttl_s=ADMITTED_S):
                raise TooManyQueued

    def _withdraw(self, owner: str, job_id: str) -> None:
        with contextlib.suppress(StoreUnavailable):  # the place expires
            self.store.withdraw(owner, job_id)

    def _undo(self, owner: str, job_id: str) -> None:
        """Removes what was stored of a submission before it was accepted."""
        self.lifecycle.discard(job_id)
        self._withdraw(owner, job_id)

    def _manifest(
        self, owner: str, submission: Submission, params: Params, job_id: str, opened: contextlib.ExitStack
    ) -> tuple[Manifest, dict[str, BinaryIO]]:
        """Returns the request, checked, and those of its pictures that still have to be stored, by their keys."""
        options, now = submission.options, self.clock.now()
        images: dict[str, InputImage] = {}
        pictures: dict[str, BinaryIO] = {}
        for name, picture in {"image": submission.image, **submission.extra_pictures}.items():
            object_key = object_keys.PICTURES[name](job_id)
            images[name], file = opened.enter_context(self.intake.checked(owner, picture, name, object_key))
            if file is not None:
                pictures[object_key] = file
        self._check_sizes(params, images)
        manifest = Manifest(
            id=job_id,
            kind=options.kind,
            owner=owner,
            priority=options.priority,
            params=params,
            input=images["image"],
            guide=images.get("guide"),
            mask=images.get("mask"),
            name=submission.name,
            preset=options.preset,
            changed=_changed(options, params),
            created_at=now,
            deadline_at=None if options.deadline_s is None else now + options.deadline_s,
            webhook=self._webhook(options, submission.api_url),
        )
        return manifest, pictures

    def _check_sizes(self, params: Params, images: Mapping[str, InputImage]) -> None:
        photo = images["image"]
        if isinstance(params, DreamParams):
            check_size(params, photo.height, photo.width, max_pixels=self.max_pixels, path="params.")
            check_work(params, photo.height, photo.width, max_work=self.max_work, path="params.")
            if guide := images.get("guide"):
                check_guide_size(params, guide.height, guide.width, path="guide")
        else:
            check_maps_size(params, photo.height, photo.width, path="image")

    def _webhook(self, options: JobOptions, api_url: str) -> Webhook | None:
        if options.webhook_url is None:
            return None
        url = outbound.normalized(options.webhook_url, self.webhook_networks, path="webhook_url")
        return Webhook(url=url, events=options.webhook_events, api_url=(self.public_url or api_url).rstrip("/"))


def _resolved(submission: Submission) -> Params:
    """Returns all parameters: the given ones, else the preset's, else the defaults."""
    given, preset_name = submission.params, submission.options.preset
    if isinstance(given, DreamParams):
        if preset_name is not None:
            given = merge(find_preset(preset_name, path="preset"), given)
        return resolve(given, path="params.")
    for name in (*submission.extra_pictures, *(["preset"] if preset_name is not None else [])):
        raise InvalidField(f"feature maps are drawn of the image alone; leave the {name} out", path=name)
    return resolve_maps(given, path="params.")


def _changed(options: JobOptions, params: Params) -> tuple[str, ...]:
    """Returns the names of the parameters that differ from the preset's."""
    if options.preset is None or not isinstance(params, DreamParams):
        return ()
    return changed_since(find_preset(options.preset, path="preset"), params)
