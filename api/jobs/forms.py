"""Reads multipart forms as people's clients send them, and says why one can't be read.

Werkzeug's own reading treats a form that it can't parse as an empty one, also one with a file name that is not UTF-8.
"""

from dataclasses import dataclass
from typing import IO, Any

from flask import Request
from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge
from werkzeug.formparser import FormDataParser, MultiPartParser
from werkzeug.sansio.multipart import Data, Epilogue, Event, Field, File, MultipartDecoder, NeedData, State

Parsed = tuple[IO[bytes], "MultiDict[str, str]", "MultiDict[str, FileStorage]"]

UNREADABLE = "The form can't be read: {}"
ENDS = "it ends before its last boundary. The body was cut off, or the last boundary lacks its two dashes."


class _Decoder(MultipartDecoder):
    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        try:
            return super()._parse_headers(data)
        except UnicodeDecodeError:  # a file name in an older encoding: any guess is better than none
            return super()._parse_headers(bytes(data).decode("latin-1").encode())


@dataclass
class _Part:
    """The part that is being read."""

    event: Field | File
    into: Any
    size: int = 0


class _Parser(MultiPartParser):
    """Werkzeug's loop over its decoder's events, with our decoder and with reasons."""

    def parse(
        self, stream: IO[bytes], boundary: bytes, content_length: int | None
    ) -> tuple["MultiDict[str, str]", "MultiDict[str, FileStorage]"]:
        decoder = _Decoder(boundary, self.max_form_memory_size, max_parts=self.max_form_parts)
        self._fields: list[tuple[str, str]] = []
        self._files: list[tuple[str, FileStorage]] = []
        part: _Part | None = None
        read_bytes = 0
        try:
            while not isinstance(event := decoder.next_event(), Epilogue):
                if isinstance(event, NeedData):
                    piece = stream.read(self.buffer_size)
                    read_bytes += len(piece)
                    decoder.receive_data(piece or None)
                else:
                    part = self._take(event, part, content_length)
        except ValueError as exc:
            self._close(part)
            raise BadRequest(UNREADABLE.format(_reason(decoder, read_bytes, exc))) from exc
        except Exception:
            self._close(part)
            raise
        return self.cls(self._fields), self.cls(self._files)

    def _take(self, event: Event, part: _Part | None, content_length: int | None) -> _Part | None:
        if isinstance(event, Field | File):
            if not isinstance(event.name, str):
                raise BadRequest(UNREADABLE.format("one of its parts has no name."))
            into = self.start_file_streaming(event, content_length) if isinstance(event, File) else bytearray()
            return _Part(event, into)
        if isinstance(event, Data) and part is not None:
            part.size += len(event.data)
            if isinstance(part.event, File):
                part.into.write(event.data)
            else:
                if self.max_form_memory_size is not None and part.size > self.max_form_memory_size:
                    raise RequestEntityTooLarge
                part.into += event.data
            if not event.more_data:
                self._end(part)
        return part

    def _end(self, part: _Part) -> None:
        event = part.event
        if isinstance(event, File):
            part.into.seek(0)
            self._files.append((event.name, FileStorage(part.into, event.filename, event.name, headers=event.headers)))
        else:
            text = bytes(part.into).decode(self.get_part_charset(event.headers), "replace")
            self._fields.append((event.name, text))

    def _close(self, part: _Part | None) -> None:
        for _, file in self._files:
            file.close()
        if part is not None and isinstance(part.event, File):
            part.into.close()


def _reason(decoder: MultipartDecoder, read_bytes: int, error: ValueError) -> str:
    if read_bytes == 0:
        return "its body is empty."
    if decoder.state is State.PREAMBLE:
        boundary = decoder.boundary.decode("ascii", "replace")[:100]
        return f"the boundary '{boundary}' that its Content-Type names does not occur in its body."
    return ENDS if decoder.complete else f"{str(error).strip(' .')}."


class _FormParser(FormDataParser):
    def _parse_multipart(
        self,
        stream: IO[bytes],
        mimetype: str,  # noqa: ARG002 - it has one
        content_length: int | None,
        options: dict[str, str],
    ) -> Parsed:
        boundary = options.get("boundary", "")
        if not boundary:
            reason = "its Content-Type names no boundary. Leave that header to your HTTP client, which adds one."
            raise BadRequest(UNREADABLE.format(reason))
        if not boundary.isascii():
            raise BadRequest(UNREADABLE.format("its Content-Type names a boundary that is not ASCII."))
        parser = _Parser(
            stream_factory=self.stream_factory,
            max_form_memory_size=self.max_form_memory_size,
            max_form_parts=self.max_form_parts,
            cls=self.cls,
        )
        form, files = parser.parse(stream, boundary.encode("ascii"), content_length)
        return stream, form, files


class FormRequest(Request):
    """A Flask request that parses forms with this module."""

    form_data_parser_class = _FormParser
