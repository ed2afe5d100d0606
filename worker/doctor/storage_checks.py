"""Checks whether S3 can hold the durable state of jobs."""

import email.utils
import re
import secrets
import time
from collections.abc import Iterator

import httpx

from shared.errors import DreamError, StorageFull, StorageUnavailable, UnfitService
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from worker.doctor.finding import Finding, error, ok, warning

CONTENT = b"dreamqueue"
URL_EXPIRES_S = 60
SAYS_WHAT_TO_DO = re.compile(r"NTP|renew|DREAM_S3_(REGION|BUCKET|\*)")  # refusals that have nothing to do with the keys
WARNING_SKEW_S, ERROR_SKEW_S = 60.0, 900.0  # S3 refuses signatures that are 15 minutes off


def check_storage(settings: Settings) -> Iterator[Finding]:
    """Checks clock, access, conditional writes, and presigned URLs as browsers would use them."""
    place = f"{settings.s3_url or 'AWS'}, bucket {settings.s3_bucket}"
    yield from _check_clock(settings)
    try:
        storage = S3ObjectStorage.connect(settings)
        storage.check()
    except UnfitService as exc:
        yield error("s3", f"{place}: {exc}", _remedy(exc))
        return
    except StorageUnavailable as exc:
        yield error(
            "s3",
            f"{place} does not answer: {exc.__cause__ or exc}.",
            "Start it, or correct DREAM_S3_URL, DREAM_S3_REGION, DREAM_S3_ACCESS_KEY and DREAM_S3_SECRET_KEY.",
        )
        return
    except StorageFull:
        yield error("s3", f"{place} is full.", "Make room, raise the quota, or set DREAM_RETENTION_DAYS.")
        return
    yield ok("s3", f"{place}: reads and writes.")
    yield ok("s3 conditional writes", "It honors If-None-Match, so no job can end twice.")
    key = f"checks/{secrets.token_hex(8)}"
    try:
        yield from _check_presigned(storage, key, settings)
        yield from _check_parts(storage, key, settings)
    except DreamError as exc:
        yield error("s3 presigning", str(exc), "Run the doctor again; if the error persists, check the store's log.")
    finally:
        storage.delete([key])


def _remedy(unfit: UnfitService) -> str:
    if unfit.__cause__ is None:  # the keys work, but it overwrote an existing object
        return "Set DREAM_S3_URL to another store: without conditional writes, a job could end twice."
    if "does not support" in str(unfit):
        return "Set DREAM_S3_URL to another store: jobs need that call."
    if SAYS_WHAT_TO_DO.search(str(unfit)):
        return "Then run the doctor again."
    return (
        "Correct DREAM_S3_ACCESS_KEY, DREAM_S3_SECRET_KEY and DREAM_S3_BUCKET; the keys need s3:GetObject, PutObject, "
        "DeleteObject and ListBucket on the bucket."
    )


def _check_presigned(storage: S3ObjectStorage, key: str, settings: Settings) -> Iterator[Finding]:
    public = settings.s3_public_url or settings.s3_url or "AWS"
    advice = "Set DREAM_S3_PUBLIC_URL to the address at which browsers reach the store."
    storage.put(key, CONTENT)
    try:
        fetched = httpx.get(storage.presigned_get(key, expires_s=URL_EXPIRES_S), timeout=settings.s3_timeout_s)
    except httpx.TransportError as exc:
        yield warning("s3 presigned download", f"{public} can't be reached from here: {exc}.", advice)
        return
    if fetched.content == CONTENT:
        yield ok("s3 presigned download", f"{public} serves presigned URLs.")
    else:
        yield error(
            "s3 presigned download",
            f"{public} answers a presigned URL with {fetched.status_code}.",
            f"{advice} A proxy in between must not change the Host header.",
        )
    form = storage.presigned_post(key, expires_s=URL_EXPIRES_S, max_bytes=len(CONTENT))
    small, large = (
        httpx.post(form.url, data=dict(form.fields), files={"file": body}, timeout=settings.s3_timeout_s)
        for body in (CONTENT, CONTENT * 2)
    )
    if not small.is_success:
        yield error(
            "s3 presigned upload",
            f"It refuses a presigned form ({small.status_code}).",
            "Uploads of large images need POST forms.",
        )
    elif large.is_success:
        yield error(
            "s3 presigned upload",
            "It ignores the length limit of a presigned form, so whoever has a form can fill the bucket.",
            "Use a store that honors content-length-range (AWS, MinIO, SeaweedFS, Ceph).",
        )
    else:
        yield ok("s3 presigned upload", "It accepts presigned forms and enforces their length limit.")


def _check_parts(storage: S3ObjectStorage, key: str, settings: Settings) -> Iterator[Finding]:
    advice = (
        "Images above DREAM_MAX_UPLOAD_BYTES need uploads by parts: the store must have them, and the keys need "
        "s3:AbortMultipartUpload, ListMultipartUploadParts and ListBucketMultipartUploads."
    )
    try:
        upload = storage.begin_parts(key)
        next(storage.unfinished(key, 0), None)
        url = storage.presigned_part(key, upload, 1, size_bytes=len(CONTENT), expires_s=URL_EXPIRES_S)
        sent, longer = (httpx.put(url, content=body, timeout=settings.s3_timeout_s) for body in (CONTENT, CONTENT * 2))
        joined = storage.complete_parts(key, upload, storage.parts(key, upload) or ())
    except httpx.TransportError:
        storage.abort_parts(key, upload)  # the check of presigned URLs has reported it
        return
    except UnfitService as exc:
        yield warning("s3 uploads by parts", str(exc), advice)
        return
    if not (sent.is_success and joined):
        yield warning("s3 uploads by parts", f"It refuses the part of an upload ({sent.status_code}).", advice)
    elif longer.is_success:
        yield warning(
            "s3 uploads by parts",
            "It takes parts that are longer than their signed URL says, so whoever has one can fill the bucket.",
            "Use a store that checks signed headers (AWS, SeaweedFS), or watch the bucket's size.",
        )
    else:
        yield ok("s3 uploads by parts", "It joins uploads by parts and enforces the parts' sizes.")


def _check_clock(settings: Settings) -> Iterator[Finding]:
    address = settings.s3_url or f"https://s3.{settings.s3_region}.amazonaws.com"
    try:
        date = httpx.head(address, timeout=settings.s3_timeout_s).headers.get("Date")
    except (httpx.TransportError, httpx.InvalidURL):
        return  # the next check reports that it can't be reached
    then = email.utils.parsedate_to_datetime(date) if date else None
    if then is None:
        return
    skew_s = abs(time.time() - then.timestamp())
    if skew_s >= WARNING_SKEW_S:
        finding = error if skew_s >= ERROR_SKEW_S else warning
        yield finding(
            "s3 clock",
            f"Its clock and this machine's are {skew_s:.0f} s apart; at 900 s it refuses every request.",
            "Synchronize both by NTP.",
        )
    else:
        yield ok("s3 clock", "Its clock agrees.")
