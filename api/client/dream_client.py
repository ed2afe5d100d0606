"""DreamClient: submits jobs, watches them and downloads their results."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx

from api.client.responses import (
    Outage,
    Record,
    ServerAway,
    download_retries,
    read,
    refusal,
    request_retries,
    translated,
)
from api.client.sse_reader import Event, read_events
from api.schemas.account_views import KeyList, KeyView, NewKeyView
from api.schemas.job_view import JobPage, JobView
from api.schemas.network_views import LayerList, ModelList, PresetList
from shared.clock import Clock, SystemClock

POLL_S = 0.5


class DreamClient:
    """A client of one server. Use it as a context manager. Every call raises ServerAway (retryable) or Refused."""

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
        self._http = httpx.Client(
            base_url=url,
            headers={"Authorization": f"Bearer {key}"} if key else {},  # not sent to other hosts on redirects
            timeout=httpx.Timeout(timeout_s, connect=5.0),
            transport=transport,
            follow_redirects=True,
        )

    def __enter__(self) -> "DreamClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def submit(
        self,
        image: Path,
        params: Mapping[str, Any] | None = None,
        *,
        guide: Path | None = None,
        mask: Path | None = None,
        **options: str | float,
    ) -> JobView:
        """Submits a job; safe to retry, since repeated requests create one job only. Uploads the files as streams.

        params: as in DreamParams.   options: kind, priority, deadline_s, webhook_url, webhook_events (comma-separated).
        """
        idempotency = {"Idempotency-Key": uuid4().hex}
        fields = {"params": json.dumps(dict(params or {})), **{name: str(value) for name, value in options.items()}}
        with ExitStack() as opened:
            files = {
                name: (path.name, opened.enter_context(path.open("rb")))
                for name, path in {"image": image, "guide": guide, "mask": mask}.items()
                if path is not None
            }
            return self._ask(JobView, "POST", "/v1/jobs", data=fields, files=files, headers=idempotency)

    def get(self, job_id: str) -> JobView:
        return self._ask(JobView, "GET", f"/v1/jobs/{job_id}")

    def list_jobs(
        self, *, states: tuple[str, ...] = (), kind: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Lists jobs, newest first. Pass `next_cursor` back as `cursor` for older ones."""
        query = {"state": ",".join(states) or None, "kind": kind, "limit": limit, "cursor": cursor}
        return self._ask(
            JobPage, "GET", "/v1/jobs", params={name: value for name, value in query.items() if value is not None}
        )

    def cancel(self, job_id: str) -> JobView:
        return self._ask(JobView, "POST", f"/v1/jobs/{job_id}/cancel")

    def retry(self, job_id: str) -> JobView:
        return self._ask(JobView, "POST", f"/v1/jobs/{job_id}/retry")

    def delete(self, job_id: str) -> None:
        self._send("DELETE", f"/v1/jobs/{job_id}")

    def models(self) -> ModelList:
        return self._ask(ModelList, "GET", "/v1/models")

    def layers(self, model: str) -> LayerList:
        return self._ask(LayerList, "GET", f"/v1/models/{model}/layers")

    def presets(self) -> PresetList:
        return self._ask(PresetList, "GET", "/v1/presets")

    def report(self, job_id: str) -> dict[str, Any]:
        """Returns the job's report: resolved recipe, versions, timings and gradient statistics."""
        report: dict[str, Any] = self._send("GET", f"/v1/jobs/{job_id}/report").json()
        return report

    def wait(self, job_id: str, on_change: Callable[[JobView], None] | None = None) -> JobView:
        """Polls until the job has ended and returns it. Calls `on_change` for each change that a poll finds.

        Raises ServerAway once the server has been unavailable for a minute.
        """
        etag, outage = "", Outage(self._clock)
        while True:
            try:
                response = self._send("GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": etag} if etag else {})
            except ServerAway as exc:
                outage.tolerate(exc)
                self._clock.sleep(POLL_S)
                continue
            outage.end()
            if response.status_code != httpx.codes.NOT_MODIFIED:
                etag = response.headers.get("ETag", "")
                job = read(JobView, response)
                if on_change:
                    on_change(job)
                if job.state.is_terminal:
                    return job
            self._clock.sleep(POLL_S)

    def events(self, job_id: str) -> Iterator[Event]:
        """Yields the job's events until it ends. Reconnects after an interruption without losing events.

        Raises ServerAway once the server has been unavailable for a minute.
        """
        last_id, outage = "", Outage(self._clock)
        while True:
            try:
                for event in self._stream(job_id, last_id):
                    outage.end()
                    last_id = event.id or last_id
                    yield event
                    if event.is_last:
                        return
                if not last_id:
                    return
            except ServerAway as exc:
                outage.tolerate(exc)
            self._clock.sleep(POLL_S)

    def download(self, job_id: str, to: Path) -> None:
        """Saves the result, completely or not at all. Interrupted downloads resume, even in a later run."""
        part = to.with_name(f"{to.name}.{job_id}.part")
        download_retries(self._clock)(self._download_rest, job_id, part)
        part.replace(to)

    def create_key(self, owner: str, name: str = "") -> NewKeyView:
        """Creates an API key. This client's own key must be the admin key, as for `keys` and `revoke_key`."""
        return self._ask(NewKeyView, "POST", "/v1/keys", json={"owner": owner, "name": name})

    def keys(self) -> KeyList:
        return self._ask(KeyList, "GET", "/v1/keys")

    def revoke_key(self, key_id: str) -> KeyView:
        return self._ask(KeyView, "DELETE", f"/v1/keys/{key_id}")

    def _download_rest(self, job_id: str, part: Path) -> None:
        have = part.stat().st_size if part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with translated(self.url), self._http.stream("GET", f"/v1/jobs/{job_id}/result", headers=headers) as response:
            if response.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # the part file is complete
            if response.is_error:
                response.read()
                raise refusal(response)
            resumed = response.status_code == httpx.codes.PARTIAL_CONTENT
            with part.open("ab" if resumed else "wb") as file:
                for chunk in response.iter_bytes():  # no buffering: an interruption would lose it
                    file.write(chunk)

    def _stream(self, job_id: str, last_id: str) -> Iterator[Event]:
        headers = {"Last-Event-ID": last_id} if last_id else {}
        with translated(self.url), self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
            if response.is_error:
                response.read()
                raise refusal(response)
            if response.status_code != httpx.codes.NO_CONTENT:
                yield from read_events(response)

    def _ask(self, kind: type[Record], method: str, path: str, **request: Any) -> Record:  # noqa: ANN401 - httpx's own
        return read(kind, self._send(method, path, **request))

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        def send_once() -> httpx.Response:
            for _, file in (request.get("files") or {}).values():
                file.seek(0)  # an earlier attempt has read it
            with translated(self.url):
                return self._http.request(method, path, **request)

        response: httpx.Response = request_retries(self._clock)(send_once)
        if response.is_error:
            raise refusal(response)
        return response
