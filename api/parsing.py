"""From a request's body to records and a file."""

from typing import BinaryIO, TypeVar, cast

from flask import Request
from werkzeug.exceptions import UnsupportedMediaType

from api.schemas import JobForm
from shared.errors import InvalidField

T = TypeVar("T")


def submission(request: Request) -> tuple[JobForm, BinaryIO]:
    """The form and the image of a submission. Raises InvalidField or pydantic's ValidationError."""
    if request.mimetype != "multipart/form-data":
        raise UnsupportedMediaType("Send the job as multipart/form-data, with the picture in the field 'image'.")
    if "image" in request.form:
        raise InvalidField("'image' must be a file: its part needs a filename", path="image")
    form = JobForm.model_validate({name: _once(name, request.form.getlist(name)) for name in request.form})
    for name in request.files:
        if name != "image":
            raise InvalidField(
                f"unknown file field '{name[:100]}'; did you mean 'image'?", path=name, suggestion="image"
            )
    image = _once("image", request.files.getlist("image"))
    if image is None:
        raise InvalidField("the picture is missing: send it as a file in the field 'image'", path="image")
    return form, cast(BinaryIO, image.stream)


def _once(name: str, values: list[T]) -> T | None:
    if len(values) > 1:
        raise InvalidField(f"the field '{name[:100]}' came {len(values)} times; send it once", path=name[:100])
    return values[0] if values else None
