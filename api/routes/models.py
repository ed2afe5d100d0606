"""Lists networks and their layers."""

from apiflask import APIBlueprint

from api import request_context
from api.schemas.network_views import LayerList, ModelList, ModelView
from shared.errors import InvalidField, ModelNotFound
from shared.networks import catalog

bp = APIBlueprint("models", __name__, url_prefix="/v1/models", tag="Models")


@bp.get("")
@bp.output(ModelList)
@bp.doc(summary="List networks", operation_id="listModels")
def list_models() -> ModelList:
    """Lists all networks, each with whether a live worker serves it now."""
    served = request_context.jobs().served()
    return ModelList(models=tuple(ModelView.of(model, served) for model in catalog.MODELS.values()))


@bp.get("/<name>/layers")
@bp.output(LayerList)
@bp.doc(summary="List a network's layers", operation_id="listLayers", responses=[404])
def list_layers(name: str) -> LayerList:
    """Lists the layers from input to output. Early layers amplify textures, late layers amplify objects."""
    try:
        return LayerList.of(catalog.model(name))
    except InvalidField as exc:
        raise ModelNotFound(str(exc)) from exc
