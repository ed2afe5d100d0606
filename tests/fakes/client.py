"""Provides fakes for client tests: transports to the application, a scripted clock, a blocking async client."""

import asyncio
import inspect

import httpx

from api.client import AsyncDreamClient
from shared.jobs.file_names import attachment
from shared.jobs.job import JobState
from shared.s3 import object_keys
from tests.fakes.clock import FakeClock


class ApplicationTransport(httpx.BaseTransport):
    """Routes API requests to the application, and serves the object storage that it redirects to."""

    def __init__(self, app, world) -> None:
        self.api = httpx.WSGITransport(app)
        self.world = world
        self.available = True
        self.parts_sent: list[httpx.Request] = []
        self.part_answers: list[int | Exception] = []  # of the storage to the next parts; then 200

    def handle_request(self, request):
        if not self.available:
            raise httpx.ConnectError("Connection refused")
        if request.url.scheme == "memory" and request.method == "PUT":
            self.parts_sent.append(request)
            if self.part_answers:
                answer = self.part_answers.pop(0)
                if isinstance(answer, Exception):
                    raise answer
                if answer != 200:
                    return httpx.Response(answer, request=request)
            self.world.storage.put_part(str(request.url), request.read())
            return httpx.Response(200, request=request)
        if request.url.scheme == "memory":
            key = f"{request.url.host}{request.url.path}"
            headers = {"Content-Disposition": attachment(request.url.params["filename"])}
            return httpx.Response(200, content=self.world.storage.objects[key], headers=headers, request=request)
        return self.api.handle_request(request)


class ServerWithWorker(ApplicationTransport):
    """Routes requests to the application and ends every queued job as soon as a job is polled, like a worker."""

    def __init__(self, app, world) -> None:
        super().__init__(app, world)
        self.ends_as = JobState.SUCCEEDED

    def handle_request(self, request):
        if request.method == "GET" and request.url.path.startswith("/v1/jobs/") and self.ends_as:
            while any(job.state is JobState.QUEUED for job in self.world.store.jobs.values()):
                job = self.world.claim()
                self.world.end(job, self.ends_as, **{self.output_of(job): b"png"})
        return super().handle_request(request)

    def output_of(self, job):
        return f"result_{object_keys.result(job.params.format).rpartition('.')[2]}"


class ScriptedClock(FakeClock):
    """Runs the next step at every sleep."""

    def __init__(self, *steps) -> None:
        super().__init__()
        self.steps = list(steps)

    def sleep(self, seconds):
        super().sleep(seconds)
        if self.steps:
            self.steps.pop(0)()


class AsyncTransport(httpx.AsyncBaseTransport):
    """Passes requests on to a synchronous transport."""

    def __init__(self, transport) -> None:
        self.transport = transport

    async def handle_async_request(self, request):
        await request.aread()
        response = self.transport.handle_request(request)
        return httpx.Response(
            response.status_code, headers=response.headers, stream=_AsyncStream(response.stream), request=request
        )


class _AsyncStream(httpx.AsyncByteStream):
    def __init__(self, stream) -> None:
        self.stream = stream

    async def __aiter__(self):
        for chunk in self.stream:
            yield chunk

    async def aclose(self):
        self.stream.close()


class BlockingClient:
    """Wraps an AsyncDreamClient in blocking methods, so that every test of DreamClient runs on it too."""

    def __init__(self, url, *, transport, clock=None, **options) -> None:
        self.runner = asyncio.Runner()
        if clock is not None:

            async def sleep(seconds):
                clock.sleep(seconds)

            options |= {"clock": clock, "sleep": sleep}
        self.client = AsyncDreamClient(url, transport=AsyncTransport(transport), **options)

    def __enter__(self):
        self.runner.run(self.client.__aenter__())
        return self

    def __exit__(self, *error):
        self.runner.run(self.client.__aexit__(*error))
        self.runner.close()

    def __getattr__(self, name):
        method = getattr(self.client, name)

        def call(*args, **kwargs):
            result = method(*args, **kwargs)
            return self._iterate(result) if inspect.isasyncgen(result) else self.runner.run(result)

        return call

    def _iterate(self, events):
        async def next_event():
            return await anext(events, None)

        while (event := self.runner.run(next_event())) is not None:
            yield event
