"""Authenticates a request before its body is read."""

import io

from flask import Flask, g

from api.access import authentication
from api.gateway.wsgi import Answer, Environ, call


def admit(app: Flask, environ: Environ) -> str | Answer:
    """Returns who sends the request, as rate limits know them, or the refusal.

    The application authenticates again once it has the body: only it decides, this only spares reading.
    """
    with app.request_context({**environ, "wsgi.input": io.BytesIO()}):
        try:
            authentication.identify()
        except Exception as error:  # noqa: BLE001 - the application's own handlers answer it
            response = app.make_response(app.handle_user_exception(error))
            return call(app.process_response(response), environ)
        return str(g.rate_limit_key)
