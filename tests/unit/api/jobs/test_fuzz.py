"""Tests thousands of damaged and unusual images: each is refused clearly, or accepted and decodable; none is a 500.

A fixed corpus of oddities, and mutations of it by Hypothesis: at least 2,000 inputs, through the api and, where it
accepts, through the worker's decoder. What only decoding shows must be one of the decoder's clear refusals.
"""

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from api.app import create_app
from api.wiring import assemble
from shared.errors import ImageTooLarge, ImageUnreadable, UnsupportedImage
from shared.settings import Settings
from tests.fakes.clock import FakeClock
from tests.fakes.job_queries import MemoryJobQueries, RecordingJobStore, Script
from tests.fakes.object_storage import MemoryNotifier, MemoryObjectStorage
from tests.fakes.pictures import a_picture, a_turned_picture, an_animation, encode
from worker import images

pytestmark = pytest.mark.slow

MAX_PIXELS = 1_000_000
CLEAR = (ImageTooLarge, ImageUnreadable, UnsupportedImage)
EXAMPLES = 2_000


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def a_png(width: int, height: int, data: bytes = b"", *, depth: int = 8, color: int = 2) -> bytes:
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, color, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(data)) + chunk(b"IEND", b"")


def with_profile(profile: bytes, kind: str = "PNG") -> bytes:
    return a_picture(kind, icc_profile=profile)


def corpus() -> dict[str, bytes]:
    gray16 = Image.fromarray((np.arange(80 * 96, dtype=np.uint16) * 8).reshape(80, 96))
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    jpeg, png, webp = (a_picture(kind) for kind in ("JPEG", "PNG", "WEBP"))
    return {
        "jpeg": jpeg,
        "png": png,
        "webp": webp,
        "progressive": a_picture("JPEG", progressive=True),
        "gray": a_picture("JPEG", mode="L"),
        "cmyk": a_picture("JPEG", mode="CMYK"),
        "palette": a_picture("PNG", mode="P"),
        "one bit": a_picture("PNG", mode="1"),
        "gray and alpha": a_picture("PNG", mode="LA"),
        "alpha": a_picture("PNG", mode="RGBA"),
        "webp alpha": a_picture("WEBP", mode="RGBA"),
        "webp lossless": a_picture("WEBP", lossless=True),
        "16 bits": encode(gray16, "PNG"),
        "turned jpeg": a_turned_picture("JPEG"),
        "turned png": a_turned_picture("PNG", orientation=8),
        "turned webp": a_turned_picture("WEBP", orientation=3),
        "strange turn": a_turned_picture("JPEG", orientation=99),
        "animated png": an_animation("PNG"),
        "animated webp": an_animation("WEBP"),
        "gif": an_animation("GIF"),
        "bmp": a_picture("BMP"),
        "tiff": a_picture("TIFF"),
        "bomb": a_png(60_000, 60_000),
        "wide bomb": a_png(2**31 - 1, 1),
        "no size": a_png(0, 0),
        "zipped bomb": a_png(900, 900, bytes(50_000_000)),
        "no pixels": a_png(100, 100),
        "impossible depth": a_png(100, 100, bytes(30_100), depth=7),
        "impossible color": a_png(100, 100, bytes(30_100), color=5),
        "huge header": png[:33] + chunk(b"tEXt", b"x" * (17 << 20)) + png[33:],
        "many chunks": png[:33] + chunk(b"tEXt", b"a\0b") * 20_000 + png[33:],
        "zipped text": png[:33] + chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(80 << 20))) + png[33:],
        "profile": with_profile(srgb),
        "profile of another space": with_profile(lab),
        "profile of nonsense": with_profile(b"nonsense"),
        "empty profile": with_profile(b""),
        "profile cut off": with_profile(srgb[:200], "JPEG"),
        "jpeg as png": b"\x89PNG\r\n\x1a\n" + jpeg,
        "png as jpeg": b"\xff\xd8\xff" + png,
        "exif of nonsense": a_picture("JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff"),
        "riff of nonsense": b"RIFF\xff\xff\xff\xffWEBPVP8 ",
        "empty": b"",
        "text": b"hello",
    }


CORPUS = corpus()
WELL = {
    "jpeg", "png", "webp", "progressive", "gray", "cmyk", "palette", "one bit", "gray and alpha", "alpha", "webp alpha",
    "webp lossless", "16 bits", "turned jpeg", "turned png", "turned webp", "strange turn", "many chunks", "profile",
    "profile of another space", "empty profile",
}  # fmt: skip
REFUSED = {413: "image_too_large", 415: "unsupported_image", 422: "image_unreadable"}


def answer(http, data: bytes):
    # By hand: the test client would leave a temporary file open for each large one.
    head = b'--frontier\r\nContent-Disposition: form-data; name="image"; filename="photo"\r\n\r\n'
    body = head + data + b"\r\n--frontier--\r\n"
    return http.post("/v1/jobs", data=body, content_type="multipart/form-data; boundary=frontier")


def check(http, data: bytes, *, well: bool = False) -> None:
    response = answer(http, data)
    if response.status_code != 202:
        assert not well, response.json
        assert response.json["code"] in {REFUSED.get(response.status_code), "request_too_large"}, response.json
        assert response.content_type == "application/problem+json"
        assert response.json["detail"]
        return
    picture = decoded(data)
    if picture is None:
        assert not well
        return
    shown = response.json["input"]
    assert picture.shape == (shown["height"], shown["width"], 3)
    assert picture.dtype == np.float32
    assert 0 <= picture.min() <= picture.max() <= 255


def decoded(data: bytes):
    """As the worker does it; None where it refuses clearly, which the job then tells."""
    try:
        return images.decode(io.BytesIO(data), max_pixels=MAX_PIXELS).image
    except CLEAR:
        return None


@pytest.fixture(scope="module")
def http():
    clock = FakeClock()
    store = RecordingJobStore(clock)
    store.create = lambda job: True  # thousands of waiting jobs would only slow it down
    limits = {"requests_per_minute": 10**9, "submissions_per_minute": 10**9}
    configured = Settings(max_pixels=MAX_PIXELS, max_upload_bytes=32 << 20, **limits)

    class Nothing(MemoryObjectStorage):
        def put(self, key, body, **_):
            return True

    services = assemble(
        configured,
        store=store,
        storage=Nothing(),
        notifier=MemoryNotifier(),
        job_queries=MemoryJobQueries(store, clock),
        subscriptions=Script(clock),
        clock=clock,
    )
    return create_app(configured, services=services).test_client()


@pytest.mark.parametrize("name", CORPUS)
def test_every_oddity_is_refused_clearly_or_decodes(http, name):
    check(http, CORPUS[name], well=name in WELL)


@pytest.mark.parametrize("name", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9, 0.99])
def test_a_file_that_is_cut_off_is_refused(http, name, kept):
    data = CORPUS[name]

    assert answer(http, data[: int(len(data) * kept)]).status_code in {415, 422}


SMALL = sorted(name for name, data in CORPUS.items() if 0 < len(data) < 40_000)


@st.composite
def broken(draw) -> bytes:
    """Returns one of the corpus with bytes changed, removed, repeated or inserted."""
    data = bytearray(CORPUS[draw(st.sampled_from(SMALL))])
    for _ in range(draw(st.integers(1, 4))):
        # Most of what a parser reads stands at the beginning.
        at = draw(st.one_of(st.integers(0, min(64, len(data))), st.integers(0, len(data))))
        how = draw(st.sampled_from(["change", "cut", "insert", "repeat", "remove"]))
        some = draw(st.binary(min_size=1, max_size=8))
        if how == "change":
            data[at : at + len(some)] = some
        elif how == "cut":
            del data[at:]
        elif how == "insert":
            data[at:at] = some
        elif how == "repeat":
            data[at:at] = data[at : at + 64]
        else:
            del data[at : at + len(some)]
    return bytes(data)


@seed(20150617)
@settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)
@given(data=broken())
def test_two_thousand_broken_images_are_refused_clearly_or_decode(http, data):
    check(http, data)
