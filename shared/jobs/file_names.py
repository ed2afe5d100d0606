"""Cleans the file names of uploads, for titles and for downloads."""

import email.header
import os
import re
import unicodedata
from itertools import chain, count
from pathlib import Path
from urllib.parse import quote

MAX_BYTES = 255  # of UTF-8, as file systems have it
IMAGE_ENDINGS = re.compile(
    r"\.(jpe?g|jpe|jfif|mpo|png|apng|webp|gif|tiff?|btf|heic|heif|hif|avif|jxl|bmp|dng|raw|psd)$", re.IGNORECASE
)
ENCODED_WORD = re.compile(r"^=\?[\w-]+\?[bq]\?.*\?=$", re.IGNORECASE)  # RFC 2047
PLACEHOLDERS = {"blob"}  # what browsers call data that has no name
IN_FORMS = {"%22": '"', "%0A": "\n", "%0D": "\r"}  # how browsers write these in a form
UNSAFE = re.compile(r'[<>:"/\\|?*\x00-\x1f]')  # for some file system
JOINERS = "\u200c\u200d"  # invisible, but parts of words and of emoji


def cleaned(raw: str) -> str | None:
    """Returns a file's name as a title: without folders. None if nothing is left of it."""
    if ENCODED_WORD.match(raw):
        raw = _decoded(raw)
    for written, letter in IN_FORMS.items():
        raw = raw.replace(written, letter)
    name = title(re.split(r"[/\\]", raw)[-1])
    return None if name is None or name.casefold() in PLACEHOLDERS else name


def title(raw: str) -> str | None:
    """Returns a title without control characters and odd spaces, at most 255 bytes. None if nothing is left of it."""
    name = "".join(_plain(letter) for letter in unicodedata.normalize("NFC", raw))
    return shortened(" ".join(name.split()).strip(" ./\\")) or None


def readable(name: str) -> str:
    """Returns the name of a file here as text: one whose bytes are not UTF-8 is read as Latin-1, as in forms."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return os.fsencode(name).decode("latin-1")
    return name


def shortened(name: str, ending: str = "", *, more: str = "") -> str:
    """Returns name + more + ending in at most 255 bytes; cuts the end of the name, before its own ending."""
    if not ending:
        found = re.search(r"\.\w{1,10}$", name)
        name, ending = (name[: found.start()], found[0]) if found else (name, "")
    room = MAX_BYTES - len((more + ending).encode())
    return name.encode("utf-8", "ignore")[:room].decode("utf-8", "ignore").rstrip() + more + ending


def stem(name: str) -> str:
    """Returns the name without the ending of an image file."""
    return IMAGE_ENDINGS.sub("", name) or name


def download_name(name: str | None, what: str, ending: str, *, otherwise: str) -> str:
    """Returns `cat-animals.png`: the job's name, what the file is, and the ending.

    otherwise: the stem to use if there is no name.
    """
    if name is None:
        return f"{otherwise}{ending}"
    safe = UNSAFE.sub("_", stem(name)).strip(" .") or "dream"
    return shortened(safe, ending, more=f"-{what}")


def free(path: Path) -> Path:
    """Returns the path, or `name (2).png` and so on where a file of that name is there already."""
    others = (path.with_name(shortened(path.stem, path.suffix, more=f" ({number})")) for number in count(2))
    return next(option for option in chain([path], others) if not option.exists())


def attachment(name: str) -> str:
    """Returns the Content-Disposition of a download, for old and new clients. Source: RFC 6266 and 8187."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    plain = re.sub(r'["\\;%]', "_", plain)
    if plain == name:
        return f'attachment; filename="{name}"'
    if plain.startswith("-") or not IMAGE_ENDINGS.sub("", plain).strip(" -._"):  # no letter of it is ASCII
        plain = f"dream{plain}"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _decoded(raw: str) -> str:
    try:
        parts = email.header.decode_header(raw)
        return "".join(t if isinstance(t, str) else t.decode(kind or "ascii", "replace") for t, kind in parts) or raw
    except (LookupError, ValueError):
        return raw


def _plain(letter: str) -> str:
    kind = unicodedata.category(letter)
    if kind in {"Zs", "Zl", "Zp"} or letter in "\t\r\n":
        return " "
    if kind.startswith("C") and letter not in JOINERS:  # control, direction, private use, unassigned, half a surrogate
        return ""
    return "" if letter == "\ufffd" else letter
