"""Checks weights files against their checksums."""

import hashlib
from pathlib import Path

from shared.errors import ModelCorrupt, ModelUnavailable


def sha256_of(path: Path) -> str:
    """Returns the file's SHA-256 in hex. Raises ModelUnavailable when it can't be read."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as exc:
        raise ModelUnavailable(f"The weights file {path.name} can't be read: {exc.strerror}") from exc


def checked(path: Path, sha256: str | None) -> Path:
    """Returns the path if the file has that checksum; None accepts any. Raises ModelUnavailable or ModelCorrupt."""
    found = sha256_of(path)
    if sha256 is not None and found != sha256:
        raise ModelCorrupt(f"The weights file {path.name} has the checksum {found[:12]}…, not {sha256[:12]}…")
    return path
