"""From a request to records and pictures."""

import contextlib
import difflib
import json
import math
import re
from typing import BinaryIO, TypeVar, cast

from flask import Request
from pydantic import BaseModel
from pydantic_core import from_json, to_json
from werkzeug.exceptions import UnsupportedMediaType

from api.jobs.submission import Picture, Sent, Submission, Uploaded
from api.schemas.requests import FeatureMapsForm, FeatureMapsRequest, JobForm, JobOptions, JobRequest, JobSketch
from shared.errors import InvalidField

T = TypeVar("T")
Record = TypeVar("Record", bound=BaseModel)

FILES = ("image", "guide", "mask")
LONGEST_WAIT_S = 30
LONGEST_KEY = 255
WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,9})\"?")


def submission(request: Request) -> Submission:
    """What a client asks for. Raises InvalidField or pydantic's ValidationError."""
    if request.mimetype == "application/json":
        asked = _json(request.get_data())
        guide, mask = (Uploaded(sent.upload) if sent else None for sent in (asked.guide, asked.mask))
        image = Uploaded(asked.image.upload)
        return Submission(options=_options(asked), params=asked.params, image=image, guide=guide, mask=mask)
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType(
            "Send the job as multipart/form-data, with the picture in the field 'image', or as JSON that names uploads."
        )
    return _form(request)


def body(request: Request, record: type[Record], *, optional: bool = False) -> Record:
    """A JSON body, taken at its word: `"3"` and `true` are no numbers. Raises pydantic's ValidationError."""
    sent = request.get_data()
    if optional and not sent:
        return record()
    if request.mimetype != "application/json":
        raise UnsupportedMediaType("Send the request as application/json.")
    return record.model_validate_json(_whole(sent), strict=True)


def _whole(text: str | bytes) -> bytes:
    """The same JSON with 3.0 written as 3, which to JSON is the same number."""
    try:
        return to_json(_wholes(from_json(text)), inf_nan_mode="constants")
    except ValueError:
        return text if isinstance(text, bytes) else text.encode()  # the one who reads it will complain


def _wholes(node: object) -> object:
    if isinstance(node, dict):
        return {name: _wholes(value) for name, value in node.items()}
    if isinstance(node, list):
        return [_wholes(value) for value in node]
    return int(node) if isinstance(node, float) and node.is_integer() and abs(node) < 2**63 else node


def _json(text: bytes) -> JobRequest | FeatureMapsRequest:
    sketch = JobSketch.model_validate_json(text)
    record: type[JobRequest | FeatureMapsRequest] = FeatureMapsRequest if sketch.kind == "feature_maps" else JobRequest
    return record.model_validate_json(_whole(text), strict=True)


def _form(request: Request) -> Submission:
    for name in FILES:
        if name in request.form:
            raise InvalidField(f"'{name}' must be a file: its part needs a filename", path=name)
    fields = {name: _once(name, request.form.getlist(name)) for name in request.form}
    record: type[JobForm | FeatureMapsForm] = FeatureMapsForm if fields.get("kind") == "feature_maps" else JobForm
    form = record.model_validate_json(_as_json(fields), strict=True)
    for name in request.files:
        if name not in FILES:
            near = next(iter(difflib.get_close_matches(name, FILES, n=1)), "image")
            raise InvalidField(
                f"unknown file field '{name[:100]}'; did you mean '{near}'?", path=name[:100], suggestion=near
            )
    image = _picture(request, "image")
    if image is None:
        raise InvalidField("the picture is missing: send it as a file in the field 'image'", path="image")
    guide, mask = _picture(request, "guide"), _picture(request, "mask")
    return Submission(options=_options(form), params=form.params, image=image, guide=guide, mask=mask)


def _as_json(fields: dict[str, str | None]) -> str:
    """A form is all text; its parameters are JSON already, and its numbers become numbers."""
    pieces = {name: json.dumps(value) for name, value in fields.items()}
    if (params := fields.get("params")) is not None:
        try:
            from_json(params)
        except ValueError as exc:
            raise InvalidField(f"params: is not JSON: {exc}", path="params") from exc
        pieces["params"] = _whole(params).decode()
    if (events := fields.get("webhook_events")) is not None:
        pieces["webhook_events"] = json.dumps(events.split(","))
    with contextlib.suppress(ValueError):
        deadline_s = float(fields.get("deadline_s") or "")
        pieces["deadline_s"] = json.dumps(deadline_s) if math.isfinite(deadline_s) else pieces["deadline_s"]
    return f"{{{', '.join(f'{json.dumps(name)}: {piece}' for name, piece in pieces.items())}}}"


def idempotency_key(request: Request) -> str | None:
    """Raises InvalidField for one that is no key."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not 0 < len(key) <= LONGEST_KEY:
        raise InvalidField(f"must have 1 to {LONGEST_KEY} characters", path="Idempotency-Key")
    return key


def preferred_wait_s(request: Request) -> int | None:
    """RFC 7240's `Prefer: wait=N`, at most 30 s. What can't be read is, as the RFC has it, no preference."""
    found = WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), LONGEST_WAIT_S) if found else None


def _options(asked: JobOptions) -> JobOptions:
    return JobOptions.model_validate({name: getattr(asked, name) for name in JobOptions.model_fields})


def _picture(request: Request, name: str) -> Picture | None:
    file = _once(name, request.files.getlist(name))
    return None if file is None else Sent(cast(BinaryIO, file.stream))


def _once(name: str, values: list[T]) -> T | None:
    if len(values) > 1:
        raise InvalidField(f"the field '{name[:100]}' came {len(values)} times; send it once", path=name[:100])
    return values[0] if values else None
