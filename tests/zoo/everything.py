"""Lists every specimen of the zoo."""

from functools import cache

from tests.zoo import jpeg, modern, png, tiff, webp
from tests.zoo.specimen import Specimen


@cache
def specimens() -> tuple[Specimen, ...]:
    return tuple(found for part in (jpeg, png, webp, tiff, modern) for found in part.specimens())
