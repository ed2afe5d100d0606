"""Creates, lists and revokes API keys. All calls need the admin key."""

from apiflask import APIBlueprint
from flask import request

from api import request_context
from api.access import authentication
from api.jobs.request_parsing import body
from api.schemas.account_views import KeyList, KeyView, NewKeyView
from api.schemas.requests import KeyRequest

bp = APIBlueprint("keys", __name__, url_prefix="/v1/keys", tag="Keys")


@bp.post("")
@bp.output(NewKeyView, status_code=201)
@bp.doc(summary="Create a key", operation_id="createKey", responses=[401, 403, 408, 413, 415, 422, 429, 503])
def create() -> NewKeyView:
    """Creates a key and returns it, this once: the service stores only its hash."""
    authentication.require_admin()
    wanted = body(request, KeyRequest)
    record, key = request_context.services().keyring.create(wanted.owner, wanted.name)
    return NewKeyView(**KeyView.of(record).model_dump(), key=key)


@bp.get("")
@bp.output(KeyList)
@bp.doc(summary="List keys", operation_id="listKeys", responses=[401, 403, 429, 503])
def list_keys() -> KeyList:
    """Lists all keys, revoked ones too, without their secrets."""
    authentication.require_admin()
    return KeyList(keys=tuple(KeyView.of(record) for record in request_context.services().keyring.all()))


@bp.delete("/<key_id>")
@bp.output(KeyView)
@bp.doc(summary="Revoke a key", operation_id="revokeKey", responses=[401, 403, 404, 429, 503])
def revoke(key_id: str) -> KeyView:
    """Revokes the key for good, in all processes within 20 seconds. Its owner's jobs stay."""
    authentication.require_admin()
    return KeyView.of(request_context.services().keyring.revoke(key_id))
