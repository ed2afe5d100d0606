"""Lists networks and their layers."""

from apiflask import APIBlueprint

from api import request_context
from api.access import authentication
from api.schemas.network_views import LayerList, ModelList, ModelView
from shared.errors import InvalidField, ModelNotFound
from shared.networks import catalog

bp = APIBlueprint("models", __name__, url_prefix="/v1/models", tag="Models")


@bp.get("")
@bp.output(ModelList)
@bp.doc(summary="List networks", operation_id="listModels")
def list_models() -> ModelList:
    """Lists all networks, each with whether a live worker serves it now."""
    fleet = request_context.jobs().fleet()
    models = tuple(ModelView.of(model, fleet) for model in catalog.MODELS.values())
    return ModelList(models=models, may_fetch=authentication.is_operator())


@bp.post("/<name>/fetch")
@bp.output(ModelView, status_code=202)
@bp.doc(summary="Fetch a network's weights", operation_id="fetchModel", responses=[401, 403, 404, 409, 429, 503])
def fetch(name: str) -> ModelView:
    """Asks the workers that lack the network's weights to fetch them. Needs the admin key where keys are in use.

    The model's `fetch` shows the progress; its `availability` becomes `ready`. Does nothing for one that is ready.
    """
    authentication.require_operator()
    model = _known(name)
    return ModelView.of(model, request_context.jobs().request_fetch(model.name))


@bp.get("/<name>/layers")
@bp.output(LayerList)
@bp.doc(summary="List a network's layers", operation_id="listLayers", responses=[404])
def list_layers(name: str) -> LayerList:
    """Lists the layers from input to output. Early layers amplify textures, late layers amplify objects."""
    return LayerList.of(_known(name))


def _known(name: str) -> catalog.Model:
    try:
        return catalog.model(name)
    except InvalidField as exc:
        raise ModelNotFound(str(exc)) from exc
