"""A Python client: submit, follow, fetch. Imports nothing of the server's machinery."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any
from uuid import uuid4

import httpx

from api.client.responses import PAUSE_S, Answer, Refused, ServerAway, pause_s, read, refusal, translated
from api.client.sse_reader import Event, read_events
from api.schemas.account_views import KeyList, KeyView, NewKeyView
from api.schemas.job_view import JobPage, JobView
from api.schemas.network_views import LayerList, ModelList, PresetList
from shared.clock import Clock, SystemClock

POLL_S = 0.5
PATIENCE_S = 60.0  # how long a wait outlasts a server that is away
TRIES = 5

AGAIN = {httpx.codes.TOO_MANY_REQUESTS, httpx.codes.SERVICE_UNAVAILABLE}  # what passes by itself

__all__ = ["DreamClient", "Event", "Refused", "ServerAway"]


class DreamClient:
    """One server. Every call raises ServerAway (retryable) or Refused. Use it as a context manager."""

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
            headers={"Authorization": f"Bearer {key}"} if key else {},  # httpx keeps it to itself when redirected
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
        """Sends the pictures in pieces, again if need be: it becomes one job. `params` as in DreamParams.

        options: kind, priority, deadline_s, webhook_url, webhook_events (separated by commas).
        """
        once = {"Idempotency-Key": uuid4().hex}
        fields = {"params": json.dumps(dict(params or {})), **{name: str(value) for name, value in options.items()}}
        with ExitStack() as opened:
            files = {
                name: (path.name, opened.enter_context(path.open("rb")))
                for name, path in {"image": image, "guide": guide, "mask": mask}.items()
                if path is not None
            }
            return self._ask(JobView, "POST", "/v1/jobs", data=fields, files=files, headers=once)

    def get(self, job_id: str) -> JobView:
        return self._ask(JobView, "GET", f"/v1/jobs/{job_id}")

    def list_jobs(
        self, *, states: tuple[str, ...] = (), kind: str | None = None, limit: int = 50, cursor: str | None = None
    ) -> JobPage:
        """Newest first; hand `next_cursor` back as `cursor` for older ones."""
        asked = {"state": ",".join(states) or None, "kind": kind, "limit": limit, "cursor": cursor}
        return self._ask(
            JobPage, "GET", "/v1/jobs", params={name: value for name, value in asked.items() if value is not None}
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
        """The resolved recipe and how it went."""
        report: dict[str, Any] = self._send("GET", f"/v1/jobs/{job_id}/report").json()
        return report

    def wait(self, job_id: str, on_change: Callable[[JobView], None] | None = None) -> JobView:
        """The job once it has ended. `on_change` hears of every change that a poll sees.

        Outlasts a server that is away for a minute; raises ServerAway after that.
        """
        etag, away_since = "", None
        while True:
            try:
                answer = self._send("GET", f"/v1/jobs/{job_id}", headers={"If-None-Match": etag} if etag else {})
            except ServerAway:
                away_since = away_since or self._clock.monotonic()
                if self._clock.monotonic() - away_since > PATIENCE_S:
                    raise
                self._clock.sleep(POLL_S)
                continue
            away_since = None
            if answer.status_code != httpx.codes.NOT_MODIFIED:
                etag = answer.headers.get("ETag", "")
                job = read(JobView, answer)
                if on_change:
                    on_change(job)
                if job.state.is_terminal:
                    return job
            self._clock.sleep(POLL_S)

    def events(self, job_id: str) -> Iterator[Event]:
        """What happens to the job until it ends, as it happens. Reconnects by itself and misses nothing.

        Raises ServerAway once the server has been away for a minute.
        """
        seen, away_since = "", None
        while True:
            try:
                for event in self._stream(job_id, seen):
                    away_since = None
                    seen = event.id or seen
                    yield event
                    if event.is_last:
                        return
                if not seen:
                    return
            except ServerAway:
                away_since = away_since or self._clock.monotonic()
                if self._clock.monotonic() - away_since > PATIENCE_S:
                    raise
            self._clock.sleep(POLL_S)

    def pause(self) -> None:
        """Between two looks at jobs."""
        self._clock.sleep(POLL_S)

    def download(self, job_id: str, to: Path) -> None:
        """Saves the dream; the file appears whole or not at all. What broke off goes on where it was, also later."""
        part = to.with_name(f"{to.name}.{job_id}.part")
        for attempt in range(TRIES):
            try:
                self._download_rest(job_id, part)
                part.replace(to)
            except ServerAway:
                if attempt == TRIES - 1:
                    raise
                self._clock.sleep(PAUSE_S * 2**attempt)
            else:
                return

    def make_key(self, owner: str, name: str = "") -> NewKeyView:
        """A new API key; asks for the admin key."""
        return self._ask(NewKeyView, "POST", "/v1/keys", json={"owner": owner, "name": name})

    def keys(self) -> KeyList:
        return self._ask(KeyList, "GET", "/v1/keys")

    def revoke_key(self, key_id: str) -> KeyView:
        return self._ask(KeyView, "DELETE", f"/v1/keys/{key_id}")

    def _download_rest(self, job_id: str, part: Path) -> None:
        have = part.stat().st_size if part.exists() else 0
        headers = {"Range": f"bytes={have}-"} if have else {}
        with translated(self.url), self._http.stream("GET", f"/v1/jobs/{job_id}/result", headers=headers) as answer:
            if answer.status_code == httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE:
                return  # all of it is there
            if answer.is_error:
                answer.read()
                raise refusal(answer)
            resumed = answer.status_code == httpx.codes.PARTIAL_CONTENT
            with part.open("ab" if resumed else "wb") as file:
                for piece in answer.iter_bytes():  # as it comes: what is held back is lost when it breaks off
                    file.write(piece)

    def _stream(self, job_id: str, seen: str) -> Iterator[Event]:
        headers = {"Last-Event-ID": seen} if seen else {}
        with translated(self.url), self._http.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as answer:
            if answer.is_error:
                answer.read()
                raise refusal(answer)
            yield from read_events(answer.iter_lines())

    def _ask(self, kind: type[Answer], method: str, path: str, **request: Any) -> Answer:  # noqa: ANN401 - httpx's own
        return read(kind, self._send(method, path, **request))

    def _send(self, method: str, path: str, **request: Any) -> httpx.Response:  # noqa: ANN401 - httpx's own
        attempt = 0
        while True:
            with translated(self.url):
                answer = self._http.request(method, path, **request)
            if not answer.is_error:
                return answer
            attempt += 1
            if answer.status_code not in AGAIN or attempt == TRIES:
                raise refusal(answer)
            self._clock.sleep(pause_s(answer, attempt))
            for _, file in (request.get("files") or {}).values():
                file.seek(0)
