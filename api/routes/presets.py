"""Lists presets."""

from apiflask import APIBlueprint

from api.schemas.network_views import PresetList, PresetView
from shared.networks.presets import PRESETS

bp = APIBlueprint("presets", __name__, url_prefix="/v1/presets", tag="Models")


@bp.get("")
@bp.output(PresetList)
@bp.doc(summary="List presets", operation_id="listPresets", responses=[429])
def list_presets() -> PresetList:
    """Lists the looks and the classic recipes. Submit a preset's `params`, changed as you like, as those of a job."""
    return PresetList(presets=tuple(PresetView.of(preset) for preset in PRESETS))
