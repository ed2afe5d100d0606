"""What is answered when something is wrong."""

from typing import Annotated, Any

from pydantic import Field

from api.schemas.base import View


class FieldError(View):
    """One thing wrong with a request."""

    path: Annotated[str, Field(description="Where, dotted: `params.layers.0.layer`.")]
    detail: str
    suggestion: Annotated[str | None, Field(description="The nearest valid choice.")] = None


class Problem(View):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: Annotated[str, Field(description="A sentence that says what to do.")]
    code: Annotated[str, Field(description="Stable; for programs.")]
    path: str | None = None
    suggestion: str | None = None
    errors: Annotated[tuple[FieldError, ...], Field(description="Every mistake, when there are several.")] = ()

    def body(self) -> dict[str, Any]:
        return self.model_dump(mode="json", exclude_defaults=True)
