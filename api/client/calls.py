"""Builds the API's requests and reads their responses: shared by DreamClient and AsyncDreamClient."""

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Generic, TypeAlias, TypeVar
from uuid import uuid4

import httpx

from api.client.responses import Record, read, refusal
from api.schemas.account_views import FinishedUploadView, KeyList, KeyView, NewKeyView, PartList, PartsUploadView
from api.schemas.job_view import JobPage, JobView
from api.schemas.network_views import LayerList, ModelList, ModelView, PresetList
from shared.jobs.file_names import cleaned, readable

FilePath: TypeAlias = str | PathLike[str]
Result = TypeVar("Result")
LARGE_TIMEOUT_S = 600.0  # the storage joins and copies gigabytes


@dataclass(frozen=True, kw_only=True)
class Call(Generic[Result]):
    """One request, and the function that reads its response."""

    method: str
    path: str
    read: Callable[[httpx.Response], Result]
    options: Mapping[str, Any] = field(default_factory=dict)  # of httpx's `request`
    files: Mapping[str, Path] = field(default_factory=dict)

    @contextmanager
    def opened(self) -> Iterator[dict[str, Any]]:
        """Opens the files for one attempt, at their start; yields httpx's options."""
        with ExitStack() as stack:
            files = {
                name: (readable(path.name), stack.enter_context(path.open("rb"))) for name, path in self.files.items()
            }
            yield {**self.options, "files": files} if files else dict(self.options)

    def result(self, response: httpx.Response) -> Result:
        """Reads the response. Raises Refused or ServerUnavailable for an error response."""
        if response.is_error:
            raise refusal(response)
        return self.read(response)


def connection(url: str, key: str | None, timeout_s: float) -> dict[str, Any]:
    """Returns the settings that both of httpx's clients take."""
    return {
        "base_url": url,
        "headers": {"Authorization": f"Bearer {key}"} if key else {},  # not sent to other hosts on redirects
        "timeout": httpx.Timeout(timeout_s, connect=5.0),
        "follow_redirects": True,
    }


def images(image: FilePath, guide: FilePath | None, mask: FilePath | None) -> dict[str, Path]:
    """Returns the files of a submission, by field."""
    paths = {"image": image, "guide": guide, "mask": mask}
    return {name: Path(path) for name, path in paths.items() if path is not None}


def submit(
    files: Mapping[str, Path], params: Mapping[str, Any] | None, options: Mapping[str, str | float]
) -> Call[JobView]:
    return _record(
        JobView,
        "POST",
        "/v1/jobs",
        files=files,
        data={"params": json.dumps(dict(params or {})), **{name: str(value) for name, value in options.items()}},
        headers={"Idempotency-Key": uuid4().hex},
    )


def submit_uploaded(
    uploads: Mapping[str, str],
    photograph: str,
    params: Mapping[str, Any] | None,
    options: Mapping[str, str | float],
) -> Call[JobView]:
    """uploads: their ids by field.   photograph: its file's name, the job's if the options have none."""
    name = cleaned(readable(photograph))
    body: dict[str, Any] = {**({"name": name} if name else {}), **options, "params": dict(params or {})}
    if isinstance(events := body.get("webhook_events"), str):
        body["webhook_events"] = events.split(",")
    return _record(
        JobView,
        "POST",
        "/v1/jobs",
        json=body | {field: {"upload": upload} for field, upload in uploads.items()},
        headers={"Idempotency-Key": uuid4().hex},
        timeout=httpx.Timeout(LARGE_TIMEOUT_S, connect=5.0),
    )


def begin_upload(size_bytes: int) -> Call[PartsUploadView]:
    return _record(PartsUploadView, "POST", "/v1/uploads/parts", json={"size_bytes": size_bytes})


def list_parts(upload_id: str, first: int) -> Call[PartList]:
    return _record(PartList, "GET", f"/v1/uploads/{upload_id}/parts", params={"first": first})


def complete_upload(upload_id: str) -> Call[FinishedUploadView]:
    timeout = httpx.Timeout(LARGE_TIMEOUT_S, connect=5.0)
    return _record(FinishedUploadView, "POST", f"/v1/uploads/{upload_id}/complete", timeout=timeout)


def remove_upload(upload_id: str) -> Call[None]:
    return Call(method="DELETE", path=f"/v1/uploads/{upload_id}", read=lambda _: None)


def get(job_id: str) -> Call[JobView]:
    return _record(JobView, "GET", f"/v1/jobs/{job_id}")


def poll(job_id: str, etag: str) -> Call[tuple[JobView | None, str]]:
    """Returns the job and its ETag; None instead of the job if it has not changed since that ETag."""

    def changed(response: httpx.Response) -> tuple[JobView | None, str]:
        if response.status_code == httpx.codes.NOT_MODIFIED:
            return None, etag
        return read(JobView, response), response.headers.get("ETag", "")

    headers = {"If-None-Match": etag} if etag else {}
    return Call(method="GET", path=f"/v1/jobs/{job_id}", read=changed, options={"headers": headers})


def list_jobs(states: tuple[str, ...], kind: str | None, limit: int, cursor: str | None) -> Call[JobPage]:
    query = {"state": ",".join(states) or None, "kind": kind, "limit": limit, "cursor": cursor}
    return _record(
        JobPage, "GET", "/v1/jobs", params={name: value for name, value in query.items() if value is not None}
    )


def cancel(job_id: str) -> Call[JobView]:
    return _record(JobView, "POST", f"/v1/jobs/{job_id}/cancel")


def retry(job_id: str, options: Mapping[str, float | None]) -> Call[JobView]:
    path = f"/v1/jobs/{job_id}/retry"
    return _record(JobView, "POST", path, json=dict(options)) if options else _record(JobView, "POST", path)


def rename(job_id: str, name: str | None) -> Call[JobView]:
    return _record(JobView, "PATCH", f"/v1/jobs/{job_id}", json={"name": name})


def delete(job_id: str) -> Call[None]:
    return Call(method="DELETE", path=f"/v1/jobs/{job_id}", read=lambda _: None)


def models() -> Call[ModelList]:
    return _record(ModelList, "GET", "/v1/models")


def fetch_model(model: str) -> Call[ModelView]:
    return _record(ModelView, "POST", f"/v1/models/{model}/fetch")


def layers(model: str) -> Call[LayerList]:
    return _record(LayerList, "GET", f"/v1/models/{model}/layers")


def presets() -> Call[PresetList]:
    return _record(PresetList, "GET", "/v1/presets")


def report(job_id: str) -> Call[dict[str, Any]]:
    return Call(method="GET", path=f"/v1/jobs/{job_id}/report", read=lambda response: dict(response.json()))


def create_key(owner: str, name: str) -> Call[NewKeyView]:
    return _record(NewKeyView, "POST", "/v1/keys", json={"owner": owner, "name": name})


def keys() -> Call[KeyList]:
    return _record(KeyList, "GET", "/v1/keys")


def revoke_key(key_id: str) -> Call[KeyView]:
    return _record(KeyView, "DELETE", f"/v1/keys/{key_id}")


def _record(
    kind: type[Record],
    method: str,
    path: str,
    *,
    files: Mapping[str, Path] | None = None,
    **options: Any,  # noqa: ANN401 - httpx's own
) -> Call[Record]:
    return Call(
        method=method, path=path, read=lambda response: read(kind, response), options=options, files=files or {}
    )
