"""Fetches a network's weights: over HTTP, from a file or from S3, checked and installed whole or not at all."""

import fcntl
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

import httpx
import structlog

from shared.errors import ModelCorrupt, ModelUnavailable, StorageUnavailable
from shared.networks.model import Model
from shared.s3.object_storage import S3ObjectStorage
from shared.settings import Settings
from worker.networks import registry
from worker.networks.weights.checksum import checked, digest

log = structlog.get_logger(__name__)

CHUNK_BYTES = 1 << 20
TIMEOUT_S = 30.0  # per read, not for the whole download

OnBytes = Callable[[int, int | None], None]  # bytes fetched so far; of how many, where the server says it


@dataclass(frozen=True, slots=True)
class _Request:
    """A download: its source, and the temporary file that it is written to."""

    model: Model
    settings: Settings
    folder: Path
    sha256: str | None
    on_bytes: OnBytes


def fetch(
    model: Model,
    settings: Settings,
    *,
    source: str | None = None,
    sha256: str | None = None,
    on_bytes: OnBytes | None = None,
) -> Path:
    """Returns where the weights now are; nothing is fetched where they are ready and no source is named.

    source: http(s)://…, s3://bucket/key or a path; by default the catalog's addresses, one after the other. It holds
    the weights file, or what the addresses hold (for Inception5h, a zip with it).
    sha256: of the weights file, in place of the catalog's checksum: for a file that only the caller vouches for.
    Raises ModelUnavailable (retryable) when it can't be had, ModelCorrupt when it is not what it should be.
    """
    sources = (source,) if source else model.urls
    if model.package is not None or not sources:
        raise ModelUnavailable(f"{model.title} has no address to be fetched from: {_why_no_address(model)}.")
    target = registry.weights_path(model, settings.model_dir)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _one_at_a_time(target.parent):
            if source is None and registry.is_ready(model.name, settings.model_dir):
                return target  # another process has fetched it meanwhile
            with tempfile.TemporaryDirectory(dir=target.parent, prefix=".fetch-") as folder:
                request = _Request(model, settings, Path(folder), sha256, on_bytes or (lambda *_: None))
                found = _first_that_fits(sources, request)
                if sha256 is not None:
                    registry.load_file(found, model)  # its origin is unknown: check that it is this network's
                _install(found, target, sha256)
    except OSError as exc:
        raise ModelUnavailable(f"{target.parent} can't be written: {exc.strerror or exc}.") from exc
    log.info("model_fetched", model=model.name, path=str(target))
    return target


def _why_no_address(model: Model) -> str:
    if model.package is not None:
        return f"it comes with the package {model.package}"
    return f"its catalog entry names the file {model.file} and no urls"


@contextmanager
def _one_at_a_time(folder: Path) -> Iterator[None]:
    """Workers that share a folder fetch once. Where its file system has no locks, several times, which does no harm."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _first_that_fits(sources: Sequence[str], request: _Request) -> Path:
    """Returns the checked weights file of the first source that has it.

    Raises one error that names what failed everywhere.
    """
    model, failures = request.model, list[ModelUnavailable | ModelCorrupt]()
    for source in sources:
        fetched = request.folder / "download"
        try:
            with fetched.open("wb") as file:
                _download(source, file, request)
            return _weights_in(fetched, request)
        except (ModelUnavailable, ModelCorrupt) as exc:
            log.warning("source_failed", model=model.name, source=source, reason=str(exc))
            failures.append(exc)
    if len(failures) == 1:
        raise failures[0]
    kind = ModelUnavailable if any(isinstance(failure, ModelUnavailable) for failure in failures) else ModelCorrupt
    raise kind(f"None of the addresses has {model.title}. {' '.join(map(str, failures))}")


def _install(found: Path, target: Path, sha256: str | None) -> None:
    """Moves the file into place. A crash on the way leaves a network that is not ready, never a wrong one."""
    found.chmod(0o644)
    with found.open("rb") as file:
        os.fsync(file.fileno())
    accepted = registry.accepted_path(target)
    accepted.unlink(missing_ok=True)
    found.replace(target)
    if sha256 is not None:
        accepted.write_text(f"{sha256}  {target.name}\n")


def _download(source: str, into: BinaryIO, request: _Request) -> None:
    scheme = urlsplit(source).scheme
    if scheme in {"http", "https"}:
        _over_http(source, into, request.on_bytes)
    elif scheme == "s3":
        _from_s3(source, into, request.settings)
    elif scheme in {"", "file"}:
        path = Path(unquote(urlsplit(source).path)) if scheme else Path(source)
        with _read_errors(source), path.open("rb") as file:
            shutil.copyfileobj(file, into, CHUNK_BYTES)
    else:
        raise ModelUnavailable(f"'{source}' is neither http(s)://, s3://bucket/key nor a file.")


@contextmanager
def _read_errors(source: str) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise ModelUnavailable(f"{source} can't be read: {exc.strerror or exc}.") from exc


def _over_http(url: str, into: BinaryIO, on_bytes: OnBytes) -> None:
    try:
        with httpx.stream("GET", url, follow_redirects=True, timeout=TIMEOUT_S) as answer:
            if not answer.is_success:
                raise ModelUnavailable(f"{url} answered {answer.status_code} {answer.reason_phrase}.")
            length = answer.headers.get("Content-Length", "")
            total = int(length) if length.isdecimal() and "Content-Encoding" not in answer.headers else None
            for piece in answer.iter_bytes(CHUNK_BYTES):
                into.write(piece)
                on_bytes(into.tell(), total)
    except (httpx.HTTPError, httpx.InvalidURL) as exc:
        why = str(exc) or type(exc).__name__
        raise ModelUnavailable(f"{url} can't be fetched: {why}; --from takes a file or an s3:// address.") from exc


def _from_s3(source: str, into: BinaryIO, settings: Settings) -> None:
    parts = urlsplit(source)
    bucket = S3ObjectStorage.connect(settings.model_copy(update={"s3_bucket": parts.netloc}))
    try:
        found = bucket.download(parts.path.lstrip("/"), into)
    except StorageUnavailable as exc:
        raise ModelUnavailable(f"{source} can't be fetched: {exc}") from exc
    if not found:
        raise ModelUnavailable(f"There is no {source}.")


def _weights_in(fetched: Path, request: _Request) -> Path:
    """Returns the weights file, checked. Raises ModelCorrupt."""
    model, folder, sha256 = request.model, request.folder, request.sha256
    expected = sha256 or model.sha256
    whole = expected is not None and digest(fetched, "sha256") == expected  # the file itself, from wherever
    if not whole and sha256 is None and model.checksum is not None:
        _check_download(fetched, model)
    if not whole and model.is_zipped:
        fetched = _unpack(fetched, model.file.name, folder)
    named = fetched.rename(folder / model.file.name)
    return checked(named, f"sha256:{expected}" if expected else None)


def _check_download(fetched: Path, model: Model) -> None:
    kind, _, wanted = (model.checksum or "").partition(":")
    found = digest(fetched, kind)
    if found != wanted:
        size = f"{fetched.stat().st_size:,} bytes"
        raise ModelCorrupt(
            f"What was fetched for {model.title} ({size}) has {kind} {found}, not {wanted}; "
            "--sha256 takes a file that you trust."
        )


def _unpack(archive: Path, member: str, folder: Path) -> Path:
    try:
        with (
            zipfile.ZipFile(archive) as opened,
            opened.open(member) as packed,
            (folder / "unpacked").open("wb") as file,
        ):
            shutil.copyfileobj(packed, file, CHUNK_BYTES)
    except (zipfile.BadZipFile, EOFError, NotImplementedError) as exc:
        raise ModelCorrupt(f"The zip is broken: {exc}.") from exc
    except KeyError as exc:
        raise ModelCorrupt(f"The zip holds no {member}.") from exc
    return folder / "unpacked"
