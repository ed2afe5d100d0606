"""Fakes for tests of the client: a transport to the application, and a clock that runs steps."""

import httpx

from tests.fakes.clock import FakeClock


class ApplicationTransport(httpx.BaseTransport):
    """Routes API requests to the application, and serves the object storage that it redirects to."""

    def __init__(self, app, world) -> None:
        self.api = httpx.WSGITransport(app)
        self.world = world
        self.available = True

    def handle_request(self, request):
        if not self.available:
            raise httpx.ConnectError("Connection refused")
        if request.url.scheme == "memory":
            key = f"{request.url.host}{request.url.path}"
            return httpx.Response(200, content=self.world.storage.objects[key], request=request)
        return self.api.handle_request(request)


class ScriptedClock(FakeClock):
    """A clock that runs the next step at every sleep."""

    def __init__(self, *steps) -> None:
        super().__init__()
        self.steps = list(steps)

    def sleep(self, seconds):
        super().sleep(seconds)
        if self.steps:
            self.steps.pop(0)()
