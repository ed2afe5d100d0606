"""What a client asks for, before anything is looked at."""

import hashlib
from dataclasses import dataclass
from typing import BinaryIO

from api.schemas.requests import JobOptions
from shared.params import Params


@dataclass(frozen=True)
class Sent:
    """A picture that came with the request."""

    file: BinaryIO

    def fingerprint(self) -> str:
        self.file.seek(0)
        digest = hashlib.sha256()
        while piece := self.file.read(1 << 20):
            digest.update(piece)
        self.file.seek(0)
        return digest.hexdigest()


@dataclass(frozen=True)
class Uploaded:
    """A picture that went straight to S3 before."""

    upload_id: str

    def fingerprint(self) -> str:
        return f"upload:{self.upload_id}"


Picture = Sent | Uploaded


@dataclass(frozen=True, kw_only=True)
class Submission:
    """What a client asks for."""

    options: JobOptions
    params: Params
    image: Picture
    guide: Picture | None = None
    mask: Picture | None = None

    @property
    def beside(self) -> dict[str, Picture]:
        """What comes with the photograph."""
        pictures = {"guide": self.guide, "mask": self.mask}
        return {name: picture for name, picture in pictures.items() if picture is not None}

    def fingerprint(self) -> str:
        """The same for the same request."""
        said = [self.options.model_dump_json(), self.params.model_dump_json(), self.image.fingerprint()]
        said += [f"{name} {picture.fingerprint()}" for name, picture in self.beside.items()]
        return hashlib.sha256("\0".join(said).encode()).hexdigest()
