"""DreamClient: submits jobs, watches them and downloads their results."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx
from tenacity import Retrying

from api.client import calls, steps
from api.client.calls import Call, FilePath, Result
from api.client.responses import DOWNLOAD_RETRIES, REQUEST_RETRIES, ServerUnavailable, name_of, refusal, translated
from api.client.sse_reader import Event, read_events
from api.client.steps import POLL_S, Done, EventPosition, Pause, Save, Steps
from api.client.uploads import OnUpload, SendPart
from api.schemas.account_views import KeyList, KeyView, NewKeyView
from api.schemas.job_view import JobPage, JobView
from api.schemas.network_views import LayerList, ModelList, ModelView, PresetList
from shared.clock import Clock, SystemClock
from shared.errors import DreamError


class DreamClient:
    """A client of one server. Use it as a context manager. Every call raises ServerUnavailable (retryable) or Refused.

    AsyncDreamClient has the same methods for asyncio.
    """

    def __init__(
        self,
        url: str,
        *,
        key: str | None = None,
        timeout_s: float = 60.0,
        transport: httpx.BaseTransport | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.url = url
        self._clock = clock or SystemClock()
        with translated(url):
            self._http = httpx.Client(transport=transport, **calls.connection(url, key, timeout_s))

    def __enter__(self) -> "DreamClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def dream(
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
        """Submits a job, waits for it and returns the result's bytes. Raises JobFailed with the job's message.

        look: a preset's name; `params` override it.   The rest is as for `submit` and `wait`.
        """
        return self._run(
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

    def submit(
        self,
        image: FilePath,
        params: Mapping[str, Any] | None = None,
        *,
        guide: FilePath | None = None,
        mask: FilePath | None = None,
        on_upload: OnUpload | None = None,
        **options: str | float,
    ) -> JobView:
        """Submits a job; safe to retry, since repeated requests create one job only.

        Sends the files as streams; those above 32 MiB go to the object storage by parts, each repeated if it fails.
        on_upload: called with the bytes sent of those, and with all of them.

        params: as in DreamParams.   options: kind, name, preset, priority, deadline_s, webhook_url,
        webhook_events (comma-separated).
        """
        return self._run(steps.submit(calls.images(image, guide, mask), params, on_upload=on_upload, options=options))

    def get(self, job_id: str) -> JobView:
        return self._send(calls.get(job_id))

    def list_jobs(
        self, *, states: tuple[str, ...] = (), kind: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Lists jobs, newest first. Pass `next_cursor` back as `cursor` for older ones."""
        return self._send(calls.list_jobs(states, kind, limit, cursor))

    def cancel(self, job_id: str) -> JobView:
        return self._send(calls.cancel(job_id))

    def retry(self, job_id: str, **options: float | None) -> JobView:
        """Queues a failed or canceled job again; it resumes from its last checkpoint.

        options: deadline_s, a new deadline in seconds from now, None for none. Without it the job keeps its own.
        """
        return self._send(calls.retry(job_id, options))

    def rename(self, job_id: str, name: str | None) -> JobView:
        """Gives the job another name, or none. Downloads are named after it."""
        return self._send(calls.rename(job_id, name))

    def delete(self, job_id: str) -> None:
        self._send(calls.delete(job_id))

    def models(self) -> ModelList:
        return self._send(calls.models())

    def fetch_model(self, model: str) -> ModelView:
        """Asks the workers to fetch the network's weights; `models` shows the progress. Needs the admin key, if any."""
        return self._send(calls.fetch_model(model))

    def layers(self, model: str) -> LayerList:
        return self._send(calls.layers(model))

    def presets(self) -> PresetList:
        return self._send(calls.presets())

    def preset_params(self, name: str) -> dict[str, Any]:
        """Returns the preset's parameters. Raises InvalidField, which lists the names, if there is no such preset."""
        return self._run(steps.preset_params(name))

    def report(self, job_id: str) -> dict[str, Any]:
        """Returns the job's report: resolved recipe, versions, timings and gradient statistics."""
        return self._send(calls.report(job_id))

    def wait(self, job_id: str, on_change: Callable[[JobView], None] | None = None) -> JobView:
        """Polls until the job has ended and returns it. Calls `on_change` for each change that a poll finds.

        Raises ServerUnavailable once the server has been unavailable for a minute.
        """
        return self._run(steps.wait(job_id, on_change, self._clock))

    def events(self, job_id: str) -> Iterator[Event]:
        """Yields the job's events until it ends. Reconnects after an interruption without losing events.

        Raises ServerUnavailable once the server has been unavailable for a minute.
        """
        position = EventPosition(job_id, self._clock)
        while True:
            try:
                for event in self._stream(position):
                    position.received(event)
                    yield event
                position.closed()
            except ServerUnavailable as exc:
                position.interrupted(exc)
            if position.ended:
                return
            self._clock.sleep(POLL_S)

    def download(self, job_id: str, to: FilePath) -> Path:
        """Saves the result as that file, or in that folder under the server's name for it. Returns the file.

        The file appears complete or not at all. Interrupted downloads resume, even in a later run.
        """
        return self._run(steps.download(job_id, to))

    def create_key(self, owner: str, name: str = "") -> NewKeyView:
        """Creates an API key. This client's own key must be the admin key, as for `keys` and `revoke_key`."""
        return self._send(calls.create_key(owner, name))

    def keys(self) -> KeyList:
        return self._send(calls.keys())

    def revoke_key(self, key_id: str) -> KeyView:
        return self._send(calls.revoke_key(key_id))

    def _send(self, call: Call[Result]) -> Result:
        def send_once() -> httpx.Response:
            with translated(self.url), call.opened() as options:
                return self._http.request(call.method, call.path, **options)

        return call.result(Retrying(sleep=self._clock.sleep, **REQUEST_RETRIES)(send_once))

    def _run(self, sequence: Steps[Done]) -> Done:
        """Carries out the steps of a generator and returns its result."""
        with closing(sequence):
            try:
                step = next(sequence)
                while True:
                    try:
                        result = self._carry_out(step)
                    except DreamError as exc:
                        step = sequence.throw(exc)
                    else:
                        step = sequence.send(result)
            except StopIteration as stop:
                done: Done = stop.value
                return done

    def _carry_out(self, step: Call[Result] | Pause | Save | SendPart) -> Result | str | None:
        if isinstance(step, Call):
            return self._send(step)
        if isinstance(step, Pause):
            self._clock.sleep(step.seconds)
            return None
        if isinstance(step, SendPart):
            Retrying(sleep=self._clock.sleep, **DOWNLOAD_RETRIES)(self._send_part, step)
            return None
        return Retrying(sleep=self._clock.sleep, **DOWNLOAD_RETRIES)(self._save, step)

    def _send_part(self, step: SendPart) -> None:
        with translated(step.part.url):
            step.check(self._http.send(step.request(self._http, step.pieces())))

    def _save(self, save: Save) -> str:
        """Returns the server's name for the file."""
        with translated(self.url), self._http.stream("GET", save.path, headers=save.headers()) as response:
            name = name_of(response, save.job_id)
            if save.is_complete(response):
                return name
            if response.is_error:
                response.read()
                raise refusal(response)
            with save.opened(response) as file:
                for chunk in response.iter_bytes():  # no chunk size: it would buffer, and an interruption lose that
                    file.write(chunk)
            return name

    def _stream(self, position: EventPosition) -> Iterator[Event]:
        with translated(self.url), self._http.stream("GET", position.path, headers=position.headers) as response:
            if response.is_error:
                response.read()
                raise refusal(response)
            if response.status_code != httpx.codes.NO_CONTENT:
                yield from read_events(response)
