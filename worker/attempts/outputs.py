"""Stores what an attempt makes: previews while it runs, and at the end the result and its report."""

import tempfile
from collections.abc import Callable, Mapping
from typing import BinaryIO, cast

import structlog

from shared.errors import DreamError
from shared.interfaces import JobStore, ObjectStorage
from shared.jobs.job import Job
from shared.params import Format
from shared.s3 import object_keys
from worker import images
from worker.attempts.lease import LeaseKeeper
from worker.background import ActivityFile, BackgroundTask
from worker.dream.feature_maps import FeatureMapsReport
from worker.dream.report import Report
from worker.dream.types import Image
from worker.images.raster import Samples

log = structlog.get_logger(__name__)


class Outputs:
    """Stores the outputs of one attempt, each under the attempt's own keys."""

    def __init__(
        self,
        job: Job,
        *,
        store: JobStore,
        storage: ObjectStorage,
        lease: LeaseKeeper,
        patiently: Callable[[Callable[[], bool]], bool],
    ) -> None:
        """patiently: repeats a call while Redis or S3 is unavailable, as `Patience.run` does."""
        self._job = job
        self._store = store
        self._storage = storage
        self._lease = lease
        self._patiently = patiently
        self._previews = BackgroundTask("preview")

    @property
    def busy(self) -> bool:
        """Returns whether the last preview is still on its way."""
        return self._previews.busy

    def wait(self) -> None:
        """Waits for the last preview."""
        self._previews.wait()

    def show(self, image: Image) -> None:
        """Stores a preview of the image in the background. Best effort."""
        self._store_small("preview.jpg", image, then=lambda: self._store.preview_stored(self._job))

    def store_photograph(self, image: Image) -> None:
        """Stores a small JPEG of a photograph that some browsers can't show, in the background. Best effort."""
        self._store_small("photograph.jpg", image)

    def store_gradient(self, octave: int, gradient: Image) -> None:
        with tempfile.TemporaryFile() as file:
            images.write_gradient(gradient, file)
            self._patiently(lambda: self._upload(object_keys.gradient(self._job.id, octave), file, "image/png"))

    def store_result(
        self,
        result: Image,
        *,
        format: Format,  # noqa: A002
        recipe: Mapping[str, object],
        alpha: Samples | None,
    ) -> tuple[str, ...]:
        """Stores the result and its preview. Returns warnings of the encoder."""
        with tempfile.TemporaryFile() as file:
            encoded = images.encode(result, file, format=format, recipe=recipe, alpha=alpha)
            self._lease.move()
            key = object_keys.output(self._job.id, self._job.claim or "", object_keys.result(encoded.format))
            self._patiently(lambda: self._upload(key, file, images.CONTENT_TYPES[encoded.format]))
        self._previews.wait()  # or an older one might arrive after the last
        self._patiently(lambda: self.put("preview.jpg", images.preview(result), "image/jpeg"))
        return encoded.warnings

    def store_report(self, report: Report | FeatureMapsReport) -> None:
        document = report.to_json()
        self._patiently(lambda: self.put("report.json", document, "application/json"))

    def put(self, name: str, body: bytes, content_type: str) -> bool:
        key = object_keys.output(self._job.id, self._job.claim or "", name)
        return self._storage.put(key, body, content_type=content_type)

    def _upload(self, key: str, file: BinaryIO, content_type: str) -> bool:
        file.seek(0)
        watched = cast(BinaryIO, ActivityFile(file, self._lease.touch))
        return self._storage.put(key, watched, content_type=content_type)

    def _store_small(self, name: str, image: Image, *, then: Callable[[], None] = lambda: None) -> None:
        preview = images.preview(image)  # now, because the engine goes on changing the image

        def store() -> None:
            try:
                self.put(name, preview, "image/jpeg")
                then()
            except DreamError as exc:
                log.warning("preview_upload_failed", reason=str(exc))

        self._previews.start(store)
