"""Objects in an S3-compatible store."""

import io
import secrets
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any, BinaryIO

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import ClientError

from shared.errors import LocalDiskError, StorageUnavailable, UnfitService
from shared.interfaces import PresignedForm
from shared.jobs.file_names import attachment
from shared.s3.clients import Uploaders, make_client
from shared.s3.multipart import MultipartUploads
from shared.s3.refusals import CONFLICT, LACKING, MISSING, TAKEN, Refused, code_of, found, refusal, translated
from shared.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CopySourceTypeDef, ObjectTypeDef

DELETE_BATCH = 1000  # S3's limit
PIECE_BYTES = 1 << 20
COPY_PART_BYTES = 64 << 20
IN_PARTS = TransferConfig(multipart_threshold=COPY_PART_BYTES, multipart_chunksize=COPY_PART_BYTES, max_concurrency=4)
LARGEST_PUT_BYTES = 1 << 30  # S3 takes 5 GiB in one request; a request of that size should not have to be repeated
SENT_IN_PARTS = TransferConfig(multipart_threshold=1, multipart_chunksize=COPY_PART_BYTES, use_threads=False)


class S3ObjectStorage(MultipartUploads):
    """ObjectStorage on any S3 with conditional writes. Safe to share between threads."""

    def __init__(self, client: "S3Client", public: "S3Client", uploaders: Uploaders, bucket: str) -> None:
        """public: signs addresses as browsers reach the store."""
        super().__init__(client, public, bucket)
        self._uploaders = uploaders
        self._has_batch_delete = True
        self._copies_parts = True

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
        size_bytes = _size(content)
        if size_bytes > LARGEST_PUT_BYTES and not if_absent:
            client = self._uploaders.for_size(SENT_IN_PARTS.multipart_chunksize)
            with translated():
                client.upload_fileobj(content, self.bucket, key, {"ContentType": content_type}, Config=SENT_IN_PARTS)
            return True
        client = self._uploaders.for_size(size_bytes)
        while True:
            try:
                with translated():
                    client.put_object(Bucket=self.bucket, Key=key, Body=content, ContentType=content_type, **condition)
            except Refused as exc:
                if if_absent and exc.error_code in CONFLICT:
                    content.seek(0)
                    continue
                if if_absent and exc.error_code in TAKEN:
                    return False
                raise
            return True

    def get(self, key: str) -> bytes | None:
        return found(lambda: self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].read())  # noqa: PLW0108 - reading the body may fail too

    def download(self, key: str, into: BinaryIO) -> bool:
        def fetch() -> bool:
            for piece in self._s3.get_object(Bucket=self.bucket, Key=key)["Body"].iter_chunks(PIECE_BYTES):
                _write(into, piece)
            return True

        return bool(found(fetch))

    def size(self, key: str) -> int | None:
        return found(lambda: self._s3.head_object(Bucket=self.bucket, Key=key)["ContentLength"])

    def read(self, key: str, at: int, size_bytes: int) -> bytes | None:
        wanted = f"bytes={at}-{at + size_bytes - 1}"
        return found(lambda: self._s3.get_object(Bucket=self.bucket, Key=key, Range=wanted)["Body"].read())  # noqa: PLW0108 - reading the body may fail too

    def copy(self, source: str, target: str) -> bool:
        size_bytes = self.size(source)
        if size_bytes is None:
            return False
        origin: CopySourceTypeDef = {"Bucket": self.bucket, "Key": source}
        client = self._uploaders.for_size(size_bytes)  # the response comes once everything is copied
        if size_bytes > COPY_PART_BYTES and self._copies_parts:
            try:
                with translated():
                    client.copy(origin, self.bucket, target, Config=IN_PARTS)
            except UnfitService:
                self._copies_parts = False
            else:
                return True
        return found(lambda: client.copy_object(Bucket=self.bucket, Key=target, CopySource=origin)) is not None

    def keys(self, prefix: str) -> Iterator[str]:
        return (item["Key"] for item in self._objects(prefix))

    def keys_before(self, prefix: str, at: float) -> Iterator[str]:
        return (item["Key"] for item in self._objects(prefix) if item["LastModified"].timestamp() < at)

    def _objects(self, prefix: str) -> "Iterator[ObjectTypeDef]":
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        with translated():
            for page in pages:
                yield from page.get("Contents", ())

    def folders(self, prefix: str) -> Iterator[str]:
        pages = self._s3.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        with translated():
            for page in pages:
                yield from (item["Prefix"].removeprefix(prefix).rstrip("/") for item in page.get("CommonPrefixes", ()))

    def delete(self, keys: Iterable[str]) -> None:
        left = iter(keys)
        while batch := list(islice(left, DELETE_BATCH)):
            if not (self._has_batch_delete and self._delete_batch(batch)):
                for key in batch:
                    with translated():
                        self._s3.delete_object(Bucket=self.bucket, Key=key)

    def _delete_batch(self, keys: list[str]) -> bool:
        """Deletes with one call; False if the store lacks the call (some gateways do), which is remembered."""
        try:
            with translated():
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
            with translated():
                self._make_bucket()
            # Not by what the first write says: its answer may have been lost, and its repetition refused.
            self.put(key, b"first", if_absent=True)
            honored = not self.put(key, b"second", if_absent=True) and self.get(key) == b"first"
            next(self.keys(key), None)
            self.delete([key])
        except Refused as exc:
            raise UnfitService(refusal(exc.error_code, self.bucket)) from exc
        if not honored:
            raise UnfitService(
                "The object storage ignores If-None-Match: jobs could end twice. Use one with conditional writes "
                "(AWS, MinIO, SeaweedFS, Ceph)."
            )

    def _make_bucket(self) -> None:
        try:
            self._s3.head_bucket(Bucket=self.bucket)
        except ClientError as exc:
            if code_of(exc) not in MISSING | {"NoSuchBucket"}:
                # A HEAD has no body, so its refusal has no code; a GET says whether key, clock or token is wrong.
                self._s3.list_objects_v2(Bucket=self.bucket, MaxKeys=1)
                return
            self._create_bucket()

    def _create_bucket(self) -> None:
        try:
            self._s3.create_bucket(Bucket=self.bucket, **self._location())
        except ClientError as exc:
            code = code_of(exc)
            if code in {"AccessDenied", *LACKING}:
                raise UnfitService(
                    f"There is no bucket '{self.bucket}', and the keys do not allow creating it ({code}). "
                    "Create it, or correct DREAM_S3_BUCKET."
                ) from exc
            if code not in {"BucketAlreadyOwnedByYou", "BucketAlreadyExists"}:
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
