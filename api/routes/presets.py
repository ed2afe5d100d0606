"""Lists presets."""

from apiflask import APIBlueprint

from api import request_context
from api.schemas.network_views import PresetList, PresetView
from shared.networks.presets import in_order

bp = APIBlueprint("presets", __name__, url_prefix="/v1/presets", tag="Models")


@bp.get("")
@bp.output(PresetList)
@bp.doc(summary="List presets", operation_id="listPresets", responses=[429])
def list_presets() -> PresetList:
    """Lists the looks and the classic recipes, first those whose network is ready.

    Submit a preset's `params`, changed as you like, as those of a job.
    """
    fleet = request_context.jobs().fleet()
    presets = in_order(fleet.served if fleet else frozenset())
    return PresetList(presets=tuple(PresetView.of(preset, fleet) for preset in presets))
