"""The base class of responses."""

from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict


class View(BaseModel):
    """Base class of responses. New versions may add fields, so clients ignore unknown ones."""

    model_config = ConfigDict(frozen=True, extra="ignore")


def utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def utc_or_none(seconds: float | None) -> datetime | None:
    return None if seconds is None else utc(seconds)
