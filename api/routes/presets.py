"""Looks and classic recipes."""

from apiflask import APIBlueprint

from api.schemas.network_views import PresetList, PresetView
from shared.networks.presets import PRESETS

bp = APIBlueprint("presets", __name__, url_prefix="/v1/presets", tag="Models")


@bp.get("")
@bp.output(PresetList)
@bp.doc(summary="List the looks and the classic recipes", operation_id="listPresets", responses=[429])
def list_presets() -> PresetList:
    """Send a preset's `params` as a job's, changed as you like."""
    return PresetList(presets=tuple(PresetView.of(preset) for preset in PRESETS))
