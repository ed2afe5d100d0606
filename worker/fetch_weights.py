"""Fetches a network's weights over HTTP, from a file or from S3; checks them and installs them atomically."""

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpx
import structlog

from shared.errors import ModelCorrupt, ModelUnavailable, StorageUnavailable
from shared.networks.model import Model
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from worker.networks.checksum import checked
from worker.networks.registry import weights_path

log = structlog.get_logger(__name__)

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0  # per read, not for the whole download


def fetch(model: Model, settings: Settings, *, source: str | None = None) -> Path:
    """Fetches the weights and returns the path of the installed file.

    source: http(s)://…, s3://bucket/key or a path; by default the catalog's address. It holds either the weights
    file or what the catalog's address holds (for Inception5h, a zip with the file).
    Raises ModelUnavailable (retryable) when the source can't be read, ModelCorrupt when a checksum is wrong.
    """
    source = source or model.url
    if model.package is not None or source is None:
        raise ModelUnavailable(f"{model.title} has no address to fetch it from: {_why_no_address(model)}")
    target = weights_path(model, settings.model_dir)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
            fetched = Path(folder) / "download"
            with fetched.open("wb") as file:
                _download(source, file, settings)
            weights = _extract_weights(fetched, model, Path(folder))
            weights.chmod(0o644)
            with weights.open("rb") as file:
                os.fsync(file.fileno())
            weights.replace(target)
    except OSError as exc:
        raise ModelUnavailable(
            f"The folder {target.parent} can't be written: {exc.strerror or exc}. Set DREAM_MODEL_DIR to another one."
        ) from exc
    log.info("model_fetched", model=model.name, source=source)
    return target


def _why_no_address(model: Model) -> str:
    if model.package is not None:
        return f"it comes with the package {model.package}"
    return f"its catalog entry names the file {model.file} and no url"


def _download(source: str, into: BinaryIO, settings: Settings) -> None:
    scheme = urlsplit(source).scheme
    if scheme in {"http", "https"}:
        _over_http(source, into)
    elif scheme == "s3":
        _from_s3(source, into, settings)
    elif scheme in {"", "file"}:
        path = Path(unquote(urlsplit(source).path)) if scheme else Path(source)
        with _read_errors(source), path.open("rb") as file:
            shutil.copyfileobj(file, into, CHUNK_BYTES)
    else:
        raise ModelUnavailable(f"Unsupported source '{source}'; use http(s)://, s3://bucket/key or a file")


@contextmanager
def _read_errors(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ModelUnavailable(f"{source} can't be read: {exc.strerror or exc}") from exc


def _over_http(url: str, into: BinaryIO) -> None:
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=TIMEOUT_S) as response:
            if not response.is_success:
                raise ModelUnavailable(f"{url} answered {response.status_code} {response.reason_phrase}")
            for chunk in response.iter_bytes(CHUNK_BYTES):
                into.write(chunk)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        why = str(exc) or type(exc).__name__
        raise ModelUnavailable(f"{url} can't be fetched: {why}; --from takes a file or an s3:// address") from exc


def _from_s3(source: str, into: BinaryIO, settings: Settings) -> None:
    parts = urlsplit(source)
    bucket = S3ObjectStorage.connect(settings.model_copy(update={"s3_bucket": parts.netloc}))
    try:
        found = bucket.download(parts.path.lstrip("/"), into)
    except StorageUnavailable as exc:
        raise ModelUnavailable(f"{source} can't be fetched: {exc}") from exc
    if not found:
        raise ModelUnavailable(f"{source} does not exist")


def _extract_weights(fetched: Path, model: Model, folder: Path) -> Path:
    """Returns the weights file, checked and unpacked if it was zipped. Raises ModelCorrupt."""
    if model.sha256 is not None and _digest(fetched, "sha256") == model.sha256:
        return fetched  # the weights file itself
    if model.checksum is not None:
        method, _, wanted = model.checksum.partition(":")
        found = _digest(fetched, method)
        if found != wanted:
            size = f"{fetched.stat().st_size:,} bytes"
            raise ModelCorrupt(f"The download for {model.title} ({size}) has {method} {found}, not {wanted}")
    if Path(urlsplit(model.url or "").path).suffix == ".zip":
        fetched = _unpack(fetched, model.file.name, folder)
    return checked(fetched, model.sha256)


def _unpack(archive: Path, member: str, folder: Path) -> Path:
    try:
        with (
            zipfile.ZipFile(archive) as opened,
            opened.open(member) as packed,
            (folder / "unpacked").open("wb") as file,
        ):
            shutil.copyfileobj(packed, file, CHUNK_BYTES)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as exc:
        raise ModelCorrupt(f"The zip file is broken: {exc}") from exc
    except KeyError as exc:
        raise ModelCorrupt(f"The zip file does not contain {member}") from exc
    return folder / "unpacked"


def _digest(path: Path, method: str) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(method, usedforsecurity=False)).hexdigest()
