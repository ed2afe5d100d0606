"""AsyncDreamClient: DreamClient for asyncio. Requests, responses and sequences of steps are the same code."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing, closing
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from tenacity import AsyncRetrying

from api.client import calls, steps
from api.client.calls import Call, FilePath, Result
from api.client.responses import DOWNLOAD_RETRIES, REQUEST_RETRIES, ServerUnavailable, name_of, refusal, translated
from api.client.sse_reader import Event, read_events_async
from api.client.steps import POLL_S, Done, EventPosition, Pause, Save, Steps
from api.client.uploads import OnUpload, SendPart
from api.schemas.account_views import KeyList, KeyView, NewKeyView
from api.schemas.job_view import JobPage, JobView
from api.schemas.network_views import LayerList, ModelList, ModelView, PresetList
from shared.clock import Clock, SystemClock
from shared.errors import DreamError


class AsyncDreamClient:
    """A client of one server, for asyncio. Use it as a context manager. DreamClient explains the methods.

    All are coroutines, except for `events`, which is an asynchronous generator.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        transport: httpx.AsyncBaseTransport | None = None,
        clock: Clock | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.url = url
        self._clock = clock or SystemClock()
        self._sleep = sleep
        with translated(url):
            self._http = httpx.AsyncClient(transport=transport, **calls.connection(url, key, timeout_s))

    async def __aenter__(self) -> "AsyncDreamClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def dream(
        self,
        image: FilePath,
        params: Mapping[str, Any] | None = None,
        *,
        look: str | None = None,
        guide: FilePath | None = None,
        mask: FilePath | None = None,
        on_change: Callable[[JobView], None] | None = None,
        on_upload: OnUpload | None = None,
        **options: str | float,
    ) -> bytes:
        return await self._run(
            steps.dream(
                calls.images(image, guide, mask),
                params,
                look=look,
                on_change=on_change,
                on_upload=on_upload,
                options=options,
                clock=self._clock,
            )
        )

    async def submit(
        self,
        image: FilePath,
        params: Mapping[str, Any] | None = None,
        *,
        guide: FilePath | None = None,
        mask: FilePath | None = None,
        on_upload: OnUpload | None = None,
        **options: str | float,
    ) -> JobView:
        return await self._run(
            steps.submit(calls.images(image, guide, mask), params, on_upload=on_upload, options=options)
        )

    async def get(self, job_id: str) -> JobView:
        return await self._send(calls.get(job_id))

    async def list_jobs(
        self, *, states: tuple[str, ...] = (), kind: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        return await self._send(calls.list_jobs(states, kind, limit, cursor))

    async def cancel(self, job_id: str) -> JobView:
        return await self._send(calls.cancel(job_id))

    async def retry(self, job_id: str, **options: float | None) -> JobView:
        return await self._send(calls.retry(job_id, options))

    async def rename(self, job_id: str, name: str | None) -> JobView:
        return await self._send(calls.rename(job_id, name))

    async def delete(self, job_id: str) -> None:
        await self._send(calls.delete(job_id))

    async def models(self) -> ModelList:
        return await self._send(calls.models())

    async def fetch_model(self, model: str) -> ModelView:
        return await self._send(calls.fetch_model(model))

    async def layers(self, model: str) -> LayerList:
        return await self._send(calls.layers(model))

    async def presets(self) -> PresetList:
        return await self._send(calls.presets())

    async def preset_params(self, name: str) -> dict[str, Any]:
        return await self._run(steps.preset_params(name))

    async def report(self, job_id: str) -> dict[str, Any]:
        return await self._send(calls.report(job_id))

    async def wait(self, job_id: str, on_change: Callable[[JobView], None] | None = None) -> JobView:
        return await self._run(steps.wait(job_id, on_change, self._clock))

    async def events(self, job_id: str) -> AsyncGenerator[Event, None]:
        position = EventPosition(job_id, self._clock)
        while True:
            try:
                async with aclosing(self._stream(position)) as stream:
                    async for event in stream:
                        position.received(event)
                        yield event
                position.closed()
            except ServerUnavailable as exc:
                position.interrupted(exc)
            if position.ended:
                return
            await self._sleep(POLL_S)

    async def download(self, job_id: str, to: FilePath) -> Path:
        return await self._run(steps.download(job_id, to))

    async def create_key(self, owner: str, name: str = "") -> NewKeyView:
        return await self._send(calls.create_key(owner, name))

    async def keys(self) -> KeyList:
        return await self._send(calls.keys())

    async def revoke_key(self, key_id: str) -> KeyView:
        return await self._send(calls.revoke_key(key_id))

    async def _send(self, call: Call[Result]) -> Result:
        async def send_once() -> httpx.Response:
            with translated(self.url), call.opened() as options:
                return await self._http.request(call.method, call.path, **options)

        return call.result(await AsyncRetrying(sleep=self._sleep, **REQUEST_RETRIES)(send_once))

    async def _run(self, sequence: Steps[Done]) -> Done:
        with closing(sequence):
            try:
                step = next(sequence)
                while True:
                    try:
                        result = await self._carry_out(step)
                    except DreamError as exc:
                        step = sequence.throw(exc)
                    else:
                        step = sequence.send(result)
            except StopIteration as stop:
                done: Done = stop.value
                return done

    async def _carry_out(self, step: Call[Result] | Pause | Save | SendPart) -> Result | str | None:
        if isinstance(step, Call):
            return await self._send(step)
        if isinstance(step, Pause):
            await self._sleep(step.seconds)
            return None
        if isinstance(step, SendPart):
            await AsyncRetrying(sleep=self._sleep, **DOWNLOAD_RETRIES)(self._send_part, step)
            return None
        return await AsyncRetrying(sleep=self._sleep, **DOWNLOAD_RETRIES)(self._save, step)

    async def _send_part(self, step: SendPart) -> None:
        async def pieces() -> AsyncGenerator[bytes, None]:
            for piece in step.pieces():
                yield piece

        with translated(step.part.url):
            step.check(await self._http.send(step.request(self._http, pieces())))

    async def _save(self, save: Save) -> str:
        with translated(self.url):
            async with self._http.stream("GET", save.path, headers=save.headers()) as response:
                name = name_of(response, save.job_id)
                if save.is_complete(response):
                    return name
                if response.is_error:
                    await response.aread()
                    raise refusal(response)
                with save.opened(response) as file:
                    async for chunk in response.aiter_bytes():
                        file.write(chunk)
                return name

    async def _stream(self, position: EventPosition) -> AsyncGenerator[Event, None]:
        with translated(self.url):
            async with self._http.stream("GET", position.path, headers=position.headers) as response:
                if response.is_error:
                    await response.aread()
                    raise refusal(response)
                if response.status_code != httpx.codes.NO_CONTENT:
                    async with aclosing(read_events_async(response)) as events:
                        async for event in events:
                            yield event
