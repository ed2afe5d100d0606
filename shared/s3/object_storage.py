"""Objects in an S3-compatible store."""

import io
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from shared import dependency_metrics
from shared.errors import LocalDiskError, StorageFull, StorageUnavailable, UnfitService
from shared.interfaces import PresignedForm
from shared.jobs.file_names import attachment
from shared.s3.clients import Uploaders, make_client
from shared.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef, ObjectTypeDef

T = TypeVar("T")

MISSING = {"NoSuchKey", "404", "NotFound"}
TAKEN = {"PreconditionFailed", "412"}
# Two concurrent conditional writes: AWS asks the second one to retry.
CONFLICT = {"ConditionalRequestConflict", "409"}
FULL = {"QuotaExceeded", "XMinioStorageFull", "XMinioAdminBucketQuotaExceeded", "InsufficientStorage", "507"}
LACKING = {"NotImplemented", "501", "MethodNotAllowed", "405"}  # the store has no such operation
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
}
DELETE_BATCH = 1000  # S3's limit
PIECE_BYTES = 1 << 20


class S3ObjectStorage:
    """ObjectStorage on any S3 with conditional writes. Safe to share between threads."""

    def __init__(self, client: "S3Client", public: "S3Client", uploaders: Uploaders, bucket: str) -> None:
        self._s3 = client
        self._public = public  # signs addresses as browsers reach the store
        self._uploaders = uploaders
        self.bucket = bucket
        self._has_batch_delete = True

    @classmethod
    def connect(cls, settings: Settings) -> "S3ObjectStorage":
        """Creates the clients without calling S3."""
        client = make_client(settings, settings.s3_url)
        public = make_client(settings, settings.s3_public_url or settings.s3_url)
        return cls(client, public, Uploaders(settings, client), settings.s3_bucket)

    def put(
        self,
        key: str,
        body: bytes | BinaryIO,
        *,
        content_type: str = "application/octet-stream",
        if_absent: bool = False,
    ) -> bool:
        condition: Any = {"IfNoneMatch": "*"} if if_absent else {}
        content = io.BytesIO(body) if isinstance(body, bytes) else body  # sent in pieces, each with its own time limit
        client = self._uploaders.for_size(_size(content))
        while True:
            try:
                with _translated():
                    client.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type, **condition)
            except _Refused as exc:
                if if_absent and exc.error_code in CONFLICT:
                    content.seek(0)
                    continue
                if if_absent and exc.error_code in TAKEN:
                    return False
                raise
            return True

    def get(self, key: str) -> bytes | None:
        return _found(lambda: self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())  # noqa: PLW0108 - reading the body may fail too

    def download(self, key: str, into: BinaryIO) -> bool:
        def fetch() -> bool:
            for piece in self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].iter_chunks(PIECE_BYTES):
                _write(into, piece)
            return True

        return bool(_found(fetch))

    def size(self, key: str) -> int | None:
        return _found(lambda: self._s3.head_object(Bucket=self.bucket, Key=key)["ContentLength"])

    def copy(self, source: str, target: str) -> bool:
        origin: CopySourceTypeDef = {"Bucket": self.bucket, "Key": source}
        return _found(lambda: self._s3.copy_object(Bucket=self.bucket, Key=target, CopySource=origin)) is not None

    def keys(self, prefix: str) -> Iterator[str]:
        return (item["Key"] for item in self._objects(prefix))

    def keys_before(self, prefix: str, at: float) -> Iterator[str]:
        return (item["Key"] for item in self._objects(prefix) if item["LastModified"].timestamp() < at)

    def _objects(self, prefix: str) -> "Iterator[ObjectTypeDef]":
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with _translated():
            for page in pages:
                yield from page.get("Contents", ())

    def folders(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        with _translated():
            for page in pages:
                yield from (item["Prefix"].removeprefix(prefix).rstrip("/") for item in page.get("CommonPrefixes", ()))

    def delete(self, keys: Iterable[str]) -> None:
        left = iter(keys)
        while batch := list(islice(left, DELETE_BATCH)):
            if not (self._has_batch_delete and self._delete_batch(batch)):
                for key in batch:
                    with _translated():
                        self._s3.delete_object(Bucket=self.bucket, Key=key)

    def _delete_batch(self, keys: list[str]) -> bool:
        """Deletes with one call; False if the store lacks the call (some gateways do), which is remembered."""
        try:
            with _translated():
                answer = self._s3.delete_objects(
                    Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in keys], "Quiet": True}
                )
        except UnfitService:
            self._has_batch_delete = False
            return False
        for failed in answer.get("Errors", []):  # a 200 may still name objects that it did not delete
            raise StorageUnavailable(f"The object storage did not delete an object: {failed.get('Code')}.")
        return True

    def presigned_get(self, key: str, *, expires_s: int, filename: str | None = None) -> str:
        params = {"Bucket": self.bucket, "Key": key}
        if filename:
            params["ResponseContentDisposition"] = attachment(filename)
        return self._public.generate_presigned_url("get_object", Params=params, ExpiresIn=expires_s)

    def presigned_post(self, key: str, *, expires_s: int, max_bytes: int) -> PresignedForm:
        form = self._public.generate_presigned_post(
            self.bucket, key, Conditions=[["content-length-range", 1, max_bytes]], ExpiresIn=expires_s
        )
        return PresignedForm(url=form["url"], fields=form["fields"])

    def check(self) -> None:
        key = f"checks/{secrets.token_hex(8)}"
        try:
            with _translated():
                self._make_bucket()
            # Not by what the first write says: its answer may have been lost, and its repetition refused.
            self.put(key, b"first", if_absent=True)
            honored = not self.put(key, b"second", if_absent=True) and self.get(key) == b"first"
            self.delete([key])
        except _Refused as exc:
            raise UnfitService(_refusal(exc.error_code, self.bucket)) from exc
        if not honored:
            raise UnfitService(
                "The object storage ignores If-None-Match: jobs could end twice. Use one with conditional writes "
                "(AWS, MinIO, SeaweedFS, Ceph)."
            )

    def _make_bucket(self) -> None:
        try:
            self._s3.head_bucket(Bucket=self.bucket)
        except ClientError as exc:
            if _code(exc) not in MISSING | {"NoSuchBucket"}:
                # A HEAD has no body, so its refusal has no code; a GET says whether key, clock or token is wrong.
                self._s3.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
                raise
            try:
                self._s3.create_bucket(Bucket=self.bucket, **self._location())
            except ClientError as race:
                if _code(race) not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
                    raise

    def _location(self) -> dict[str, Any]:
        """Returns where to create the bucket; us-east-1 is the default and must not be named."""
        region = self._s3.meta.region_name
        return {} if region == "us-east-1" else {"CreateBucketConfiguration": {"LocationConstraint": region}}


def _write(into: BinaryIO, piece: bytes) -> None:
    """Raises LocalDiskError: of a download, the network is not the only thing that can fail."""
    try:
        into.write(piece)
    except OSError as exc:
        raise LocalDiskError from exc


def _size(content: BinaryIO) -> int:
    """Returns how many bytes are left to read."""
    start = content.tell()
    end = content.seek(0, io.SEEK_END)
    content.seek(start)
    return end - start


def _refusal(code: str, bucket: str) -> str:
    reason = REFUSALS.get(code, "the credentials or the bucket").format(bucket)
    return f"The object storage refused the request: {reason} ({code})."


class _Refused(StorageUnavailable):
    """The object storage refused a call; callers may interpret the error code."""

    def __init__(self, code: str) -> None:
        super().__init__(f"The object storage refused: {code}.")
        self.error_code = code


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except ClientError as exc:
        code = _code(exc)
        dependency_metrics.s3_failed(code)
        if code in FULL:
            raise StorageFull from exc
        if code in LACKING:
            raise UnfitService(f"The object storage does not support {exc.operation_name}.") from exc
        if exc.response["ResponseMetadata"].get("HTTPStatusCode", 500) >= 500 or code in {"SlowDown", "503"}:
            raise StorageUnavailable from exc
        raise _Refused(code) from exc
    except (BotoCoreError, OSError) as exc:  # OSError: a connection that breaks while a body is read
        dependency_metrics.s3_failed(type(exc).__name__)
        raise StorageUnavailable from exc


def _found(read: Callable[[], T]) -> T | None:
    try:
        with _translated():
            return read()
    except _Refused as exc:
        if exc.error_code in MISSING:
            return None
        raise


def _code(exc: ClientError) -> str:
    return str(exc.response.get("Error", {}).get("Code", ""))
