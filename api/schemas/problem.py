"""Error responses."""

from typing import Annotated

from pydantic import Field

from api.schemas.base import View


class FieldError(View):
    """An invalid field of a request."""

    path: Annotated[str, Field(description="Path of the field, dotted: `params.layers.0.layer`.")]
    detail: str
    suggestion: Annotated[str | None, Field(description="The nearest valid choice.")] = None


class Problem(View):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="What is wrong and what to do, as a sentence.")]
    code: Annotated[str, Field(description="Stable code, for programs.")]
    path: str | None = None
    suggestion: str | None = None
    errors: Annotated[
        tuple[FieldError, ...], Field(description="The invalid fields, if there are several; the first twenty.")
    ] = ()
