"""Log-in of the web page: event streams and images can't send a header, so a session cookie authenticates them."""

from apiflask import APIBlueprint
from flask import Response, g, request

from api import request_context
from api.access import authentication
from api.jobs.request_parsing import body
from api.schemas.account_views import SessionView
from api.schemas.requests import SessionRequest

bp = APIBlueprint("session", __name__, url_prefix="/v1/session", tag="Session")


@bp.get("")
@bp.output(SessionView)
@bp.doc(summary="Get the session", operation_id="getSession", responses=[429, 503])
def get() -> SessionView:
    """Tells whether keys are required, and who is logged in."""
    return SessionView(keys_required=authentication.keys_required(), owner=g.get("owner"))


@bp.post("")
@bp.output(SessionView)
@bp.doc(summary="Log in", operation_id="logIn", responses=[401, 408, 413, 415, 422, 429, 503])
def log_in() -> Response:
    """Sets an HttpOnly cookie that stands for the key in requests from the same site."""
    credentials = body(request, SessionRequest)
    owner, cookie = authentication.log_in(credentials.key.get_secret_value())
    session = SessionView(keys_required=authentication.keys_required(), owner=owner)
    response = Response(session.model_dump_json(), mimetype="application/json")
    if cookie:
        age_s = int(request_context.services().settings.session_days * 86400)
        response.set_cookie(
            authentication.COOKIE, cookie, max_age=age_s, secure=request.is_secure, httponly=True, samesite="Strict"
        )
    return response


@bp.delete("")
@bp.output({}, status_code=204)
@bp.doc(summary="Log out", operation_id="logOut", responses=[429])
def log_out() -> Response:
    """Removes the session's cookie."""
    response = Response(status=204)
    response.delete_cookie(authentication.COOKIE, secure=request.is_secure, httponly=True, samesite="Strict")
    return response
