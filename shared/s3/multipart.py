"""Uploads by parts: the store joins them to one object, and only then does the object exist."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from shared.errors import UnfitService
from shared.interfaces import StoredPart
from shared.s3.refusals import MISSING, Refused, code_of, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, PartTypeDef

NO_SUCH_UPLOAD = MISSING | {"NoSuchUpload"}


class MultipartUploads:
    """Begins, completes and aborts uploads by parts."""

    def __init__(self, client: "S3Client", public: "S3Client", bucket: str) -> None:
        self._s3 = client
        self._public = public
        self.bucket = bucket

    def begin_parts(self, key: str) -> str:
        with translated(), _needed("CreateMultipartUpload"):
            return self._s3.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]

    def presigned_part(self, key: str, upload: str, number: int, *, size_bytes: int, expires_s: int) -> str:
        params = {
            "Bucket": self.bucket,
            "Key": key,
            "UploadId": upload,
            "PartNumber": number,
            "ContentLength": size_bytes,  # signed: the store refuses a part of another size
        }
        return self._public.generate_presigned_url("upload_part", Params=params, ExpiresIn=expires_s)

    def parts(self, key: str, upload: str) -> list[StoredPart] | None:
        newest: dict[int, PartTypeDef] = {}  # a part that was sent again may be listed twice
        pages = self._s3.get_paginator("list_parts").paginate(Bucket=self.bucket, Key=key, UploadId=upload)
        try:
            with translated():
                for part in (part for page in pages for part in page.get("Parts", ())):
                    other = newest.get(part["PartNumber"])
                    if other is None or part["LastModified"] >= other["LastModified"]:
                        newest[part["PartNumber"]] = part
        except Refused as exc:
            if exc.error_code in NO_SUCH_UPLOAD:
                return None
            raise
        return [
            StoredPart(number=number, size_bytes=part["Size"], etag=part["ETag"])
            for number, part in sorted(newest.items())
        ]

    def complete_parts(self, key: str, upload: str, parts: Sequence[StoredPart]) -> bool:
        listed: list[CompletedPartTypeDef] = [{"PartNumber": part.number, "ETag": part.etag} for part in parts]
        try:
            with translated():
                self._s3.complete_multipart_upload(
                    Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": listed}
                )
        except Refused as exc:
            if exc.error_code in NO_SUCH_UPLOAD:
                return False
            raise
        return True

    def abort_parts(self, key: str, upload: str) -> None:
        try:
            with translated():
                self._s3.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
        except Refused as exc:
            if exc.error_code not in NO_SUCH_UPLOAD:
                raise

    def unfinished(self, prefix: str, before: float) -> Iterator[tuple[str, str]]:
        pages = self._s3.get_paginator("list_multipart_uploads").paginate(Bucket=self.bucket, Prefix=prefix)
        with translated(), _needed("ListMultipartUploads"):
            for page in pages:
                for begun in page.get("Uploads", ()):
                    if begun["Initiated"].timestamp() < before:
                        yield begun["Key"], begun["UploadId"]


@contextmanager
def _needed(operation: str) -> Iterator[None]:
    """Raises UnfitService where the keys don't allow what uploads by parts need: the rest works without them."""
    try:
        yield
    except ClientError as exc:
        if code_of(exc) == "AccessDenied":
            raise UnfitService(f"The keys of the object storage do not allow {operation}.") from exc
        raise
