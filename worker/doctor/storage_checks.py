"""Is this S3 one to trust with the durable truth?"""

import email.utils
import secrets
import time
from collections.abc import Iterator

import httpx

from shared.errors import DreamError, StorageFull, StorageUnavailable, UnfitService
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from worker.doctor.finding import Finding, bad, doubtful, good

TEXT = b"dreamqueue"
SIGNED_S = 60
DOUBTFUL_SKEW_S, REFUSED_SKEW_S = 60.0, 900.0  # S3 refuses signatures that are a quarter of an hour off


def look(settings: Settings) -> Iterator[Finding]:
    """Reachable, writable, with conditional writes, presigned addresses that browsers can use, and the right time."""
    place = f"{settings.s3_url or 'AWS'}, bucket {settings.s3_bucket}"
    storage = S3ObjectStorage.connect(settings)
    yield from _clock(settings)
    try:
        storage.check()
    except UnfitService as exc:
        yield bad("s3", f"{place}: {exc}", _remedy(exc))
        return
    except StorageUnavailable as exc:
        yield bad(
            "s3",
            f"{place} does not answer: {exc.__cause__ or exc}.",
            "Start it, or correct DREAM_S3_URL, DREAM_S3_REGION, DREAM_S3_ACCESS_KEY and DREAM_S3_SECRET_KEY.",
        )
        return
    except StorageFull:
        yield bad("s3", f"{place} is full.", "Make room, raise the quota, or set DREAM_RETENTION_DAYS.")
        return
    yield good("s3", f"{place}: reads and writes.")
    yield good("s3 conditional writes", "It honors If-None-Match: no job ends twice.")
    key = f"checks/{secrets.token_hex(8)}"
    try:
        yield from _presigned(storage, key, settings)
    except DreamError as exc:
        yield bad("s3 presigning", str(exc), "Run the doctor again; if it stays so, look at the store's log.")
    finally:
        storage.delete([key])


def _remedy(unfit: UnfitService) -> str:
    if unfit.__cause__ is None:  # it took the keys, and overwrote what it should not
        return "Put DREAM_S3_URL to another store; nothing but conditional writes keeps a job from ending twice."
    return (
        "Correct DREAM_S3_ACCESS_KEY, DREAM_S3_SECRET_KEY and DREAM_S3_BUCKET; the keys need s3:GetObject, PutObject, "
        "DeleteObject and ListBucket on the bucket."
    )


def _presigned(storage: S3ObjectStorage, key: str, settings: Settings) -> Iterator[Finding]:
    public = settings.s3_public_url or settings.s3_url or "AWS"
    elsewhere = "Set DREAM_S3_PUBLIC_URL to the address under which browsers reach the store."
    storage.put(key, TEXT)
    try:
        fetched = httpx.get(storage.presigned_get(key, expires_s=SIGNED_S), timeout=settings.s3_timeout_s)
    except httpx.TransportError as exc:
        yield doubtful("s3 presigned download", f"{public} can't be reached from here: {exc}.", elsewhere)
        return
    if fetched.content == TEXT:
        yield good("s3 presigned download", f"{public} hands out what is signed.")
    else:
        yield bad(
            "s3 presigned download",
            f"{public} answers a signed address with {fetched.status_code}.",
            f"{elsewhere} A proxy in between has to pass the Host header on as it came.",
        )
    form = storage.presigned_post(key, expires_s=SIGNED_S, max_bytes=len(TEXT))
    small, large = (
        httpx.post(form.url, data=dict(form.fields), files={"file": body}, timeout=settings.s3_timeout_s)
        for body in (TEXT, TEXT * 2)
    )
    if not small.is_success:
        yield bad(
            "s3 presigned upload",
            f"It refuses a signed form ({small.status_code}).",
            "Uploads of large images need POST forms.",
        )
    elif large.is_success:
        yield bad(
            "s3 presigned upload",
            "It ignores the length limit of a signed form: anyone with a form could fill it.",
            "Use a store that honors content-length-range (AWS, MinIO, SeaweedFS, Ceph).",
        )
    else:
        yield good("s3 presigned upload", "It takes signed forms and holds them to their length.")


def _clock(settings: Settings) -> Iterator[Finding]:
    address = settings.s3_url or f"https://s3.{settings.s3_region}.amazonaws.com"
    try:
        said = httpx.head(address, timeout=settings.s3_timeout_s).headers.get("Date")
    except httpx.TransportError:
        return  # what follows says that it can't be reached
    then = email.utils.parsedate_to_datetime(said) if said else None
    if then is None:
        return
    skew_s = abs(time.time() - then.timestamp())
    if skew_s >= DOUBTFUL_SKEW_S:
        finding = bad if skew_s >= REFUSED_SKEW_S else doubtful
        yield finding(
            "s3 clock",
            f"Its clock and this machine's are {skew_s:.0f} s apart; at 900 s it refuses us.",
            "Keep time by NTP.",
        )
    else:
        yield good("s3 clock", "Its clock agrees to the second or so.")
