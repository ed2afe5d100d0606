"""The errors of Dreamqueue: each has a stable code, says whether a retry can help, and has a sentence for a person."""

import errno
import inspect
from typing import ClassVar

from shared.rate_limit import RateLimitUsage


class DreamError(Exception):
    """Something went wrong in dreamqueue."""

    code: ClassVar[str] = "internal_error"
    retryable: ClassVar[bool] = False

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or inspect.getdoc(type(self)))


# --- refused requests: nothing is stored and nothing is enqueued ---


class InvalidField(DreamError):
    """A field of the request is not valid."""

    code = "invalid_field"

    def __init__(self, message: str, *, path: str, suggestion: str | None = None) -> None:
        super().__init__(message)
        self.path = path  # dotted, as the client wrote it: "layers.0.layer"
        self.suggestion = suggestion  # the nearest valid choice


class ImageUnreadable(DreamError):
    """The image can't be read: it is damaged or cut off."""

    code = "image_unreadable"


class UnsupportedImage(DreamError):
    """The file is not an image of a supported kind."""

    code = "unsupported_image"


class ImageTooLarge(DreamError):
    """The image has more pixels or bytes than this service accepts."""

    code = "image_too_large"


class JobNotFound(DreamError):
    """There is no such job."""

    code = "job_not_found"


class ModelNotFound(DreamError):
    """There is no such model."""

    code = "model_not_found"


class WrongState(DreamError):
    """The job's state does not allow that."""

    code = "wrong_state"


class NotReady(DreamError):
    """The job has not produced that yet; ask again shortly."""

    code = "not_ready"


class ResultExpired(DreamError):
    """The result is past its retention time and has been removed."""

    code = "result_expired"


class Unauthorized(DreamError):
    """This needs a key: send `Authorization: Bearer <key>`, or log in on the page."""

    code = "unauthorized"

    def __init__(self, message: str | None = None, *, path: str | None = None) -> None:
        super().__init__(message)
        self.path = path  # the request's field that holds a wrong key


class Forbidden(DreamError):
    """This key does not allow that."""

    code = "forbidden"


class KeyNotFound(DreamError):
    """There is no such key."""

    code = "key_not_found"


class IdempotencyKeyReused(DreamError):
    """This Idempotency-Key was sent before with another request; use a new one."""

    code = "idempotency_key_reused"


class IdempotencyKeyInFlight(DreamError):
    """The first request with this Idempotency-Key is still in progress; ask again shortly."""

    code = "idempotency_key_in_flight"
    retryable = True


class SubmissionGivenUp(DreamError):
    """The submission took too long and was given up; nothing is stored of it. Send it again."""

    code = "submission_given_up"
    retryable = True


class TooManyRequests(DreamError):
    """Too many requests; wait a moment."""

    code = "too_many_requests"
    retryable = True

    def __init__(self, message: str | None = None, *, usage: RateLimitUsage) -> None:
        super().__init__(message)
        self.usage = usage


class TooManyQueued(DreamError):
    """Too many of your jobs are waiting; wait until some are done, or cancel some."""

    code = "too_many_queued"
    retryable = True


class TooManyStreams(DreamError):
    """Too many event streams are open; poll the job, or try again shortly."""

    code = "too_many_streams"
    retryable = True


class TooManyUploads(DreamError):
    """Too many bytes of images are being received at this moment; try again shortly."""

    code = "too_many_uploads"
    retryable = True


class TooManyOpenUploads(DreamError):
    """Too many of your uploads by parts are unfinished; complete or abort some."""

    code = "too_many_open_uploads"
    retryable = True


class UploadNotFound(DreamError):
    """There is no such upload by parts: it was never begun, was aborted, or has expired. Begin another one."""

    code = "upload_not_found"


class UploadIncomplete(DreamError):
    """Parts of the upload are missing; send them, then complete it."""

    code = "upload_incomplete"


class PartsUnsupported(DreamError):
    """The object storage of this service takes no uploads by parts; use `POST /v1/uploads`."""

    code = "parts_unsupported"


# --- Redis, S3 and settings ---


class StoreUnavailable(DreamError):
    """Redis can't be reached; accepted jobs are safe, try again shortly."""

    code = "store_unavailable"
    retryable = True


class StoreRefusing(StoreUnavailable):
    """Redis refuses writes; accepted jobs are safe, try again shortly."""

    code = "store_refusing"

    def __init__(self, reason: str | None = None) -> None:
        """Builds the sentence.   reason: what Redis said."""
        super().__init__(
            f"Redis refuses writes: {reason.strip(' .')}. Accepted jobs are safe; try again shortly."
            if reason
            else None
        )


class StorageUnavailable(DreamError):
    """The object storage can't be reached; accepted jobs are safe, try again shortly."""

    code = "storage_unavailable"
    retryable = True


class StorageFull(DreamError):
    """The object storage is full or over its quota."""

    code = "storage_full"
    retryable = True


class LocalDiskError(DreamError):
    """The disk of this machine is full or failing; what it was to hold is not lost. Try again shortly."""

    code = "local_disk_error"
    retryable = True
    errnos: ClassVar = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO})


class UnfitService(DreamError):
    """Redis or the object storage lacks something that jobs rely on; the message says what."""

    code = "unfit_service"


class InvalidSettings(DreamError):
    """An environment variable has an invalid value."""

    code = "invalid_settings"


# --- attempts ---


class ClaimLost(DreamError):
    """This attempt no longer owns the job; another worker may be running it."""

    code = "claim_lost"


class ModelUnavailable(DreamError):
    """The network's weights are not installed and could not be fetched."""

    code = "model_unavailable"
    retryable = True


class ModelCorrupt(DreamError):
    """The network's weights file does not match its checksum in the catalog."""

    code = "model_corrupt"


class NonFiniteGradient(DreamError):
    """The gradient overflowed; a smaller step_size or another layer may help."""

    code = "non_finite_gradient"


class OutOfMemory(DreamError):
    """The device ran out of memory even with the smallest tile."""

    code = "out_of_memory"


class WorkerDied(DreamError):
    """Several workers in a row died on this job without making progress."""

    code = "worker_died"
    retryable = True


class DeadlineExceeded(DreamError):
    """The job was not done by its deadline."""

    code = "deadline_exceeded"
