"""A submission as parsed from the request, not yet validated against limits and networks."""

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from api.schemas.requests import JobOptions
from shared.jobs.file_names import cleaned
from shared.params import Params


@dataclass(frozen=True)
class Sent:
    """An image sent with the request."""

    file: BinaryIO
    name: str | None = None  # of the file, as the client sent it

    def fingerprint(self) -> str:
        self.file.seek(0)
        digest = hashlib.sha256()
        while chunk := self.file.read(1 << 20):
            digest.update(chunk)
        self.file.seek(0)
        return digest.hexdigest()


@dataclass(frozen=True)
class Uploaded:
    """An image uploaded directly to S3 earlier."""

    upload_id: str

    def fingerprint(self) -> str:
        return f"upload:{self.upload_id}"


Picture = Sent | Uploaded


@dataclass(frozen=True, kw_only=True)
class Submission:
    """A request to create a job."""

    options: JobOptions
    params: Params
    image: Picture
    guide: Picture | None = None
    mask: Picture | None = None
    api_url: str = ""  # where the client has sent it

    @property
    def extra_pictures(self) -> dict[str, Picture]:
        """The images other than the photograph, by field name."""
        images = {"guide": self.guide, "mask": self.mask}
        return {name: picture for name, picture in images.items() if picture is not None}

    @property
    def name(self) -> str | None:
        """The job's name: the requested one, or that of the photograph's file."""
        if self.options.name is not None:
            return self.options.name
        return cleaned(self.image.name) if isinstance(self.image, Sent) and self.image.name else None

    def fingerprint(self) -> str:
        """Hashes options, parameters and images, to recognize a repeated request."""
        # What was not given is left out, as it was before there were names and presets: keys outlive an upgrade.
        without = {name for name in ("name", "preset") if getattr(self.options, name) is None}
        parts = [self.options.model_dump_json(exclude=without), self.params.model_dump_json(), self.image.fingerprint()]
        parts += [f"{name} {picture.fingerprint()}" for name, picture in self.extra_pictures.items()]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()
