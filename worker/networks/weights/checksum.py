"""Verifies weights files. A checksum is written `kind:digits`, as in the catalog."""

import hashlib
from pathlib import Path

from shared.errors import ModelCorrupt, ModelUnavailable


def digest(path: Path, kind: str) -> str:
    """Returns the digits of the file's sha256, sha1 or md5. Raises ModelUnavailable when it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()
    except OSError as exc:
        raise ModelUnavailable(f"The weights file {path.name} can't be read: {exc.strerror}.") from exc


def sha256_of(path: Path) -> str:
    """Raises ModelUnavailable when the file can't be read."""
    return digest(path, "sha256")


def checked(path: Path, checksum: str | None) -> Path:
    """Returns the path, if the file there has that checksum; None takes any.

    Raises ModelUnavailable or ModelCorrupt.
    """
    kind, _, wanted = (checksum or "sha256:").partition(":")
    found = digest(path, kind)
    if checksum is not None and found != wanted:
        size = f"{path.stat().st_size:,} bytes"
        raise ModelCorrupt(f"The weights file {path.name} ({size}) has {kind} {found}, not {wanted}.")
    return path
