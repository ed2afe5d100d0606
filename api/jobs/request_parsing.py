"""Parses a request into a submission: records and image files."""

import codecs
import contextlib
import difflib
import json
import math
import re
from collections.abc import Iterable, Sequence
from typing import BinaryIO, TypeVar, cast

from flask import Request
from pydantic import BaseModel
from pydantic_core import from_json, to_json
from werkzeug.datastructures import FileStorage
from werkzeug.exceptions import RequestEntityTooLarge, UnsupportedMediaType
from werkzeug.http import parse_list_header

from api.jobs.submission import Picture, Sent, Submission, Uploaded
from api.schemas.requests import FeatureMapsForm, FeatureMapsRequest, JobForm, JobOptions, JobRequest, JobSketch
from shared.errors import InvalidField
from shared.params import DreamParams, FeatureMapsParams

T = TypeVar("T")
Record = TypeVar("Record", bound=BaseModel)

FILES = ("image", "guide", "mask")
TEXTS = tuple(JobForm.model_fields)
PARAMS = {*DreamParams.model_fields, *FeatureMapsParams.model_fields}
NESTED = re.compile(r"params(?:\.|\[)(\w+)\]?")  # how some clients spell a field of an object in a form
MAX_TEXT_BYTES = 256 << 10  # twice what 16 layers with all of their channels take
LONGEST_WAIT_S = 30
LONGEST_KEY = 255
WAIT = re.compile(r'wait\s*=\s*("?)(\d{1,20})\1\s*(?:;.*)?', re.IGNORECASE | re.ASCII)
QUOTED = re.compile(r'"((?:[^"\\]|\\["\\])*)"')


def submission(request: Request) -> Submission:
    """Returns what a client asks for. Raises InvalidField or pydantic's ValidationError."""
    if request.mimetype == "application/json":
        asked = _json(request.get_data())
        guide, mask = (Uploaded(sent.upload) if sent else None for sent in (asked.guide, asked.mask))
        image = Uploaded(asked.image.upload)
        return Submission(
            options=_options(asked), params=asked.params, image=image, guide=guide, mask=mask, api_url=_api_url(request)
        )
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType(
            "Send the job as multipart/form-data, with the picture in the field 'image', or as JSON that names uploads."
        )
    return _form(request)


def body(request: Request, record: type[Record], *, optional: bool = False) -> Record:
    """Returns a JSON body, parsed strictly: strings and booleans are not coerced. Raises pydantic's ValidationError."""
    sent = request.get_data()
    if optional and not sent:
        return record()
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the request as application/json.")
    return record.model_validate_json(_whole(sent.removeprefix(codecs.BOM_UTF8)), strict=True)


def _whole(text: str | bytes) -> bytes:
    """Returns the same JSON with 3.0 written as 3, which to JSON is the same number."""
    try:
        return to_json(_wholes(from_json(text)), inf_nan_mode="constants")
    except ValueError:
        return text if isinstance(text, bytes) else text.encode()  # validation reports what it is


def _wholes(node: object) -> object:
    if isinstance(node, dict):
        return {name: _wholes(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_wholes(value) for value in node]
    return int(node) if isinstance(node, float) and node.is_integer() and abs(node) < 2**63 else node


def _json(text: bytes) -> JobRequest | FeatureMapsRequest:
    text = text.removeprefix(codecs.BOM_UTF8)
    sketch = JobSketch.model_validate_json(text)
    record: type[JobRequest | FeatureMapsRequest] = FeatureMapsRequest if sketch.kind == "feature_maps" else JobRequest
    _refuse_misplaced(sketch.model_extra or {}, record)
    return record.model_validate_json(_whole(text), strict=True)


def _form(request: Request) -> Submission:
    fields = _text_fields(request)
    for name in FILES:
        if any(fields.pop(name, ())):
            raise InvalidField(f"'{name}' must be a file: its part needs a filename", path=name)
    record: type[JobForm | FeatureMapsForm] = FeatureMapsForm if fields.get("kind") == ["feature_maps"] else JobForm
    _refuse_misplaced([*fields, *request.files], record)
    form = record.model_validate_json(_as_json(fields), strict=True)
    for name in request.files:
        if name not in (*FILES, *TEXTS):
            near = next(iter(difflib.get_close_matches(name, FILES, n=1)), "image")
            raise InvalidField(
                f"unknown file field '{name[:100]}'; did you mean '{near}'?", path=name[:100], suggestion=near
            )
    image = _picture(request, "image")
    if image is None:
        raise InvalidField("the picture is missing: send it as a file in the field 'image'", path="image")
    guide, mask = _picture(request, "guide"), _picture(request, "mask")
    return Submission(
        options=_options(form), params=form.params, image=image, guide=guide, mask=mask, api_url=_api_url(request)
    )


def _api_url(request: Request) -> str:
    return request.root_url.rstrip("/")


def _text_fields(request: Request) -> dict[str, list[str]]:
    """Returns all values of each field that is text, also of those that clients send with a file name, as a Blob.

    Options that were left empty, as browsers send them, are absent. Empty params are not JSON; they are refused later.
    """
    sent = {name: request.form.getlist(name) for name in request.form}
    fields = {name: texts for name, texts in sent.items() if any(texts) or name not in JobOptions.model_fields}
    for name in TEXTS:
        for blob in request.files.getlist(name):
            text = blob.stream.read(MAX_TEXT_BYTES + 1)
            if len(text) > MAX_TEXT_BYTES:
                raise RequestEntityTooLarge
            fields.setdefault(name, []).append(text.decode("utf-8", "replace"))
    return fields


def _refuse_misplaced(names: Iterable[str], record: type[BaseModel]) -> None:
    """Raises InvalidField for a parameter that was sent as a form field, outside `params`."""
    for name in names:
        inside = NESTED.fullmatch(name)
        parameter = inside[1] if inside else name
        if parameter in PARAMS and name not in record.model_fields:
            raise InvalidField(
                f"'{name}' belongs in `params`: send params as JSON, like {{\"{parameter}\": ...}}",
                path=name,
                suggestion=f"params.{parameter}",
            )


def _as_json(fields: dict[str, list[str]]) -> str:
    """Builds the document from a form: parameters are JSON already, and its numbers become numbers."""
    events = fields.pop("webhook_events", [])
    pieces = {name: json.dumps(_once(name, values)) for name, values in fields.items()}
    if (params := _once("params", fields.get("params", []))) is not None:
        params = params.removeprefix("\ufeff")
        try:
            from_json(params)
        except ValueError as exc:
            raise InvalidField(f"params: is not JSON: {exc}", path="params") from exc
        pieces["params"] = _whole(params).decode()
    if events:
        pieces["webhook_events"] = json.dumps(_events(events))
    with contextlib.suppress(ValueError):
        deadline_s = float("".join(fields.get("deadline_s", [])))
        pieces["deadline_s"] = json.dumps(deadline_s) if math.isfinite(deadline_s) else pieces["deadline_s"]
    return f"{{{', '.join(f'{json.dumps(name)}: {piece}' for name, piece in pieces.items())}}}"


def _events(values: list[str]) -> list[object]:
    """Returns the field repeated, as OpenAPI has it, or once with commas, or once as JSON."""
    if len(values) == 1 and values[0].lstrip().startswith("["):
        with contextlib.suppress(ValueError):
            return list(from_json(values[0]))
    return [event.strip() for value in values for event in value.split(",")]


def idempotency_key(request: Request) -> str | None:
    """Returns the key. A quoted one, as the header's draft standard has it, equals the same one without quotes.

    Raises InvalidField for a key that is empty or too long.
    """
    key = request.headers.get("Idempotency-Key")
    key = None if key is None else key.strip()  # spaces around a header's value are not part of it
    if key is not None and (quoted := QUOTED.fullmatch(key)):
        key = re.sub(r"\\(.)", r"\1", quoted[1])
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InvalidField(f"must have 1 to {LONGEST_KEY} characters", path="Idempotency-Key")
    return key


def preferred_wait_s(request: Request) -> int | None:
    """Reads `Prefer: wait=N` of RFC 7240, at most 30 s. As the RFC requires, ignores what it can't read."""
    found = filter(None, map(WAIT.fullmatch, parse_list_header(request.headers.get("Prefer", ""))))
    return next((min(int(wait[2]), LONGEST_WAIT_S) for wait in found), None)


def _options(asked: JobOptions) -> JobOptions:
    return JobOptions.model_validate({name: getattr(asked, name) for name in JobOptions.model_fields})


def _picture(request: Request, name: str) -> Picture | None:
    """Returns the file of that field.

    None for one that was not chosen: browsers send it without a name and without content.
    """
    file = _once(name, [file for file in request.files.getlist(name) if file.filename or _holds_bytes(file)])
    return None if file is None else Sent(cast(BinaryIO, file.stream), name=file.filename)


def _holds_bytes(file: FileStorage) -> bool:
    begins = file.stream.read(1)
    file.stream.seek(0)
    return bool(begins)


def _once(name: str, values: Sequence[T]) -> T | None:
    if len(values) > 1:
        raise InvalidField(f"the field '{name[:100]}' came {len(values)} times; send it once", path=name[:100])
    return values[0] if values else None
