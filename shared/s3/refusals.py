"""Translates boto3's errors, and says what to correct when S3 refuses a call."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from shared import dependency_metrics
from shared.errors import StorageFull, StorageUnavailable, UnfitService

T = TypeVar("T")

MISSING = {"NoSuchKey", "404", "NotFound"}
TAKEN = {"PreconditionFailed", "412"}
# Two concurrent conditional writes: AWS asks the second one to retry.
CONFLICT = {"ConditionalRequestConflict", "409"}
FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "507"}
LACKING = {"NotImplemented", "501", "MethodNotAllowed", "405"}  # the store has no such operation
# A 4xx that may pass by itself, as 5xx do.
BUSY = {"SlowDown", "503", "RequestTimeout", "408", "TooManyRequests", "429"}
REDIRECTED = "the address leads elsewhere; correct DREAM_S3_URL, https or http, or DREAM_S3_REGION"
REFUSALS = {  # what to correct, by S3's code
    "InvalidAccessKeyId": "the access key is unknown; correct DREAM_S3_ACCESS_KEY",
    "SignatureDoesNotMatch": "the secret key is wrong; correct DREAM_S3_SECRET_KEY",
    "RequestTimeTooSkewed": "this machine's clock is wrong; synchronize it by NTP",
    "ExpiredToken": "the session token has expired; renew the credentials",
    "InvalidToken": "the session token is invalid; renew the credentials",
    "TokenRefreshRequired": "the session token must be renewed",
    "AccessDenied": "the keys do not allow using the bucket '{}'",
    "PermanentRedirect": "the bucket '{}' is in another region; correct DREAM_S3_REGION",
    "AuthorizationHeaderMalformed": "the bucket '{}' is in another region; correct DREAM_S3_REGION",
    **dict.fromkeys(("301", "302", "307", "308"), REDIRECTED),
}


def refusal(code: str, bucket: str) -> str:
    reason = REFUSALS.get(code, "the credentials or the bucket").format(bucket)
    return f"The object storage refused the request: {reason} ({code})."


class Refused(StorageUnavailable):
    """The object storage refused a call; callers may interpret the error code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The object storage refused: {code}.")
        self.error_code = code


@contextmanager
def translated() -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = code_of(exc)
        dependency_metrics.s3_failed(code)
        if code in FULL:
            raise StorageFull from exc
        if code in LACKING:
            raise UnfitService(f"The object storage does not support {exc.operation_name}.") from exc
        if exc.response["ResponseMetadata"].get("HTTPStatusCode", 500) >= 500 or code in BUSY:
            raise StorageUnavailable from exc
        raise Refused(code) from exc
    except ParamValidationError as exc:  # before anything is sent: of the settings, only the bucket's name can be wrong
        raise UnfitService("The bucket's name is not valid; correct DREAM_S3_BUCKET.") from exc
    except (BotoCoreError, OSError) as exc:  # OSError: a connection that breaks while a body is read
        dependency_metrics.s3_failed(type(exc).__name__)
        raise StorageUnavailable from exc


def found(read: Callable[[], T]) -> T | None:
    try:
        with translated():
            return read()
    except Refused as exc:
        if exc.error_code in MISSING:
            return None
        raise


def code_of(exc: ClientError) -> str:
    """Returns S3's code; the HTTP status where something other than S3 has answered."""
    code = exc.response.get("Error", {}).get("Code")
    return str(code or exc.response.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
