"""Names downloaded files after the photograph and its preset."""

from functools import cache

from shared.jobs.file_names import download_name
from shared.jobs.job import Job
from shared.networks.presets import PRESETS
from shared.params import DreamParams


def result_name(job: Job, ending: str) -> str:
    """Returns `cat-animals.png`: by the preset that the dream started from, or whose parameters it has.

    Where there is none, it returns `cat-dream.png`.
    """
    if job.kind == "feature_maps":
        return download_name(job.name, "maps", ending, otherwise=f"dream-{job.id}")
    what = job.preset or (look_of(job.params) if isinstance(job.params, DreamParams) else None)
    return download_name(job.name, what or "dream", ending, otherwise=f"dream-{job.id}")


def output_name(job: Job, what: str, ending: str) -> str:
    """Returns the file name of anything else that belongs to the job: `cat-gradient-2.png`."""
    return download_name(job.name, what, ending, otherwise=f"{what}-{job.id}")


def look_of(params: DreamParams) -> str | None:
    """Returns the preset whose parameters these are, whatever the others are; of several the one that says most."""
    matching = [(name, given) for name, given in _presets() if all(getattr(params, key) == given[key] for key in given)]
    return max(matching, key=lambda preset: len(preset[1]))[0] if matching else None


@cache
def _presets() -> tuple[tuple[str, dict[str, object]], ...]:
    validated = ((preset.name, DreamParams.model_validate(preset.params), preset.params) for preset in PRESETS)
    return tuple((name, {key: getattr(params, key) for key in given}) for name, params, given in validated)
