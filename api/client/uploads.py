"""Uploads large images by parts, directly to the object storage: shared by DreamClient and AsyncDreamClient."""

from collections.abc import AsyncIterator, Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import httpx

from api.client import calls
from api.client.calls import Call
from api.client.responses import Refused, ServerUnavailable
from api.schemas.account_views import PartList, PartsUploadView, PartView
from shared.errors import DreamError, PartsUnsupported

BY_PARTS_BYTES = 32 << 20  # above it, images are uploaded by parts instead of in a form
PIECE_BYTES = 1 << 20

OnUpload: TypeAlias = Callable[[int, int], None]  # called with the bytes sent so far, and all of them


class PartRefused(DreamError):
    """The object storage refused a part of an upload; its URL may have expired."""

    code = "part_refused"


@dataclass(frozen=True, kw_only=True)
class SendPart:
    """Sends one part of a file to its URL. Raises ServerUnavailable after several attempts, or PartRefused."""

    file: Path
    part: PartView
    on_sent: Callable[[int], None]  # called with the bytes of the file sent so far

    def request(
        self, http: httpx.Client | httpx.AsyncClient, pieces: Iterator[bytes] | AsyncIterator[bytes]
    ) -> httpx.Request:
        size = {"Content-Length": str(self.part.size_bytes)}
        request = http.build_request("PUT", self.part.url, headers=size, content=pieces)
        request.headers.pop("Authorization", None)  # the key is for the server, not for the storage
        return request

    def pieces(self) -> Iterator[bytes]:
        """Yields the part's bytes. Raises ValueError when the file has become shorter."""
        with self.file.open("rb") as file:
            file.seek(self.part.offset)
            left = self.part.size_bytes
            while left:
                piece = file.read(min(left, PIECE_BYTES))
                if not piece:
                    raise ValueError(f"{self.file} became shorter while it was uploaded.")
                yield piece
                left -= len(piece)
                self.on_sent(self.part.offset + self.part.size_bytes - left)

    def check(self, response: httpx.Response) -> None:
        """Raises PartRefused, or ServerUnavailable, for which the part is sent again."""
        if response.is_server_error or response.status_code in {408, 429}:
            raise ServerUnavailable(f"The object storage answered {response.status_code} to part {self.part.number}.")
        if response.is_error:
            raise PartRefused(f"The object storage refused part {self.part.number} ({response.status_code}).")


UploadSteps: TypeAlias = Generator[Call[Any] | SendPart, Any, dict[str, str] | None]


def by_parts(files: Mapping[str, Path], on_upload: OnUpload | None) -> UploadSteps:
    """Uploads the files. Returns their upload ids, None if the storage takes no uploads by parts."""
    sizes = {name: path.stat().st_size for name, path in files.items()}
    total, before = sum(sizes.values()), 0
    ids: dict[str, str] = {}
    for name, path in files.items():
        try:
            begun: PartsUploadView = yield calls.begin_upload(sizes[name])
        except Refused as exc:
            if exc.problem.code == PartsUnsupported.code:
                return None
            raise

        def sent(size_bytes: int, before: int = before) -> None:
            if on_upload:
                on_upload(before + size_bytes, total)

        try:
            yield from _send(begun, path, sent)
            yield calls.complete_upload(begun.id)
        except (ServerUnavailable, Refused, PartRefused):
            yield calls.remove_upload(begun.id)
            raise
        ids[name] = begun.id
        before += sizes[name]
    return ids


def _send(begun: PartsUploadView, file: Path, on_sent: Callable[[int], None]) -> Generator[Any, Any, None]:
    """Sends all parts, one after the other; once more with a new URL if the storage refuses one."""
    number: int | None = 1
    refused_before = 0
    while number is not None:
        page: PartList = yield calls.list_parts(begun.id, number)
        number = page.next
        for part in page.parts:
            if part.received:
                continue
            try:
                yield SendPart(file=file, part=part, on_sent=on_sent)
            except PartRefused:
                if refused_before == part.number:
                    raise
                refused_before = number = part.number
                break
