"""Creates S3 clients, and sets how long they wait for the response to an upload of a given size."""

import base64
import hashlib
from threading import Lock
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError

from shared import dependency_metrics
from shared.errors import UnfitService
from shared.settings import Settings

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# The slowest supported link for uploads. The response comes only after the whole upload has been transmitted, which on
# a slow link is long after the system's buffers have accepted it.
SLOWEST_BYTES_PER_S = 32 << 10
QUICK_BYTES = 256 << 10  # up to this size the settings' time limit is enough


class Uploaders:
    """Keeps clients whose time limit is proportional to the upload's size, because boto3 has one limit per client."""

    def __init__(self, settings: Settings, client: "S3Client") -> None:
        self._settings = settings
        self._client = client
        self._slower: dict[int, S3Client] = {}  # by their largest upload, in bytes
        self._lock = Lock()

    def for_size(self, size_bytes: int) -> "S3Client":
        if size_bytes <= QUICK_BYTES:
            return self._client
        limit = QUICK_BYTES
        while limit < size_bytes:
            limit *= 2
        with self._lock:
            if limit not in self._slower:
                timeout_s = upload_timeout_s(self._settings, limit)
                self._slower[limit] = make_client(self._settings, self._settings.s3_url, read_timeout_s=timeout_s)
            return self._slower[limit]


def upload_timeout_s(settings: Settings, size_bytes: int) -> float:
    """Returns how long to wait for the response to an upload of that size, in seconds."""
    return settings.s3_timeout_s + size_bytes / SLOWEST_BYTES_PER_S


def make_client(settings: Settings, endpoint: str | None, *, read_timeout_s: float | None = None) -> "S3Client":
    """Creates a client, without making a call. Raises UnfitService for settings that boto3 can't use.

    read_timeout_s: replaces the settings' limit for a response.
    """

    def plain(secret: Any) -> str | None:  # noqa: ANN401 - SecretStr | None
        return secret.get_secret_value() if secret else None

    try:
        client = boto3.client(
            "s3",
            endpoint_url=endpoint,
            region_name=settings.s3_region,
            aws_access_key_id=plain(settings.s3_access_key),
            aws_secret_access_key=plain(settings.s3_secret_key),
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": "path"},
                connect_timeout=min(settings.s3_timeout_s, 3),
                read_timeout=read_timeout_s or settings.s3_timeout_s,
                retries={"total_max_attempts": 2, "mode": "standard"},
                max_pool_connections=32,
                # boto3's newer default sends trailers that some S3 servers do not understand. Content lengths protect
                # images, and checksums protect checkpoints.
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )
    except (BotoCoreError, ValueError) as exc:  # a wrong address or region, half a pair of keys, an unknown profile
        raise UnfitService(f"The S3 settings can't be used: {str(exc).rstrip('.')}. Correct DREAM_S3_*.") from exc
    client.meta.events.register("before-call.s3", _count)
    client.meta.events.register("before-call.s3", _follow_no_redirect)
    client.meta.events.register("before-call.s3.DeleteObjects", _add_content_md5)
    return client


def _count(*, model: Any, **_: object) -> None:  # noqa: ANN401 - botocore's OperationModel
    dependency_metrics.S3_REQUESTS.labels(model.name).inc()


def _follow_no_redirect(*, params: dict[str, Any], **_: object) -> None:
    """Keeps boto3 from looking for the bucket's region: it never ends where a proxy redirects to https.

    With a wrong region, presigned URLs would be refused anyway.
    """
    params["context"].setdefault("s3_redirect", {})["redirected"] = True


def _add_content_md5(*, params: dict[str, Any], **_: object) -> None:
    """Adds the checksum that S3 once required for DeleteObjects, and that some stores still require."""
    body = params["body"]
    digest = hashlib.md5(body if isinstance(body, bytes) else body.encode(), usedforsecurity=False).digest()
    params["headers"].setdefault("Content-MD5", base64.b64encode(digest).decode())
