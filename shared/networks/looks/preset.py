"""The record of a preset: a name for parameters that are known to go well together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

LITE0, GOOGLENET, INCEPTION5H, INCEPTIONV3 = "efficientnet-lite0", "googlenet", "inception5h", "inceptionv3"


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A name for parameters. What it does not say has its default."""

    name: str
    title: str
    sentence: str
    kind: Literal["look", "classic"] = "look"
    source: str | None = None  # where a classic comes from
    verified: bool = True  # False: chosen from published reports, never run by this project
    params: Mapping[str, Any] = field(default_factory=dict)


def layer(name: str, *, weight: float = 1.0, channels: list[int] | None = None) -> dict[str, Any]:
    """Returns a target as in a job's `layers`."""
    return {"layer": name, "weight": weight, "channels": channels}
