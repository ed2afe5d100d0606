"""Makes requests of every kind from a seed: valid ones, odd ones, and damaged ones."""

import json
import random
from collections.abc import Sequence
from copy import deepcopy
from dataclasses import dataclass

from tests.fakes.pictures import a_picture, a_turned_picture, an_animation

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND"]
ODD_TEXTS = [
    "",
    "x",
    "é",
    "\x00",
    "..",
    "../../etc/passwd",
    "%",
    "a" * 300,
    "null",
    "-1",
    "1e400",
    "𝄞",
    "{}",
    "' OR 1=1",
]
ODD_VALUES: list[object] = [
    *(None, True, False, 0, -1, 2**63, 2**64, 1e308, -0.0, float("inf"), float("nan"), 3.5),
    *("", "x", "\x00", "\ud800", "a" * 5000, [], {}, [[]], [[[[]]]], {"a": {"b": {}}}, [1] * 300, ["x"] * 300),
]
PICTURES = [
    *(a_picture(kind) for kind in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP", "AVIF")),
    *(a_turned_picture("JPEG"), an_animation("PNG"), an_animation("WEBP"), a_picture("JPEG", mode="CMYK")),
    *(b"", b"hello", b"\x89PNG\r\n\x1a\n", b"RIFF\xff\xff\xff\xffWEBPVP8 ", b"\xff\xd8\xff"),
]
HEADERS: dict[str, Sequence[str]] = {
    "Prefer": ["wait=1", "wait=99999999999", "respond-async", "wait", 'wait="2"', "wait=1, wait=2"],
    "Idempotency-Key": ["a", "a" * 256, '"quoted"', "é", "\t"],
    "If-None-Match": ["*", '"x"', "W/", '"a", "b"', "x" * 500],
    "Last-Event-ID": ["0", "-1", "9" * 30, "x"],
    "Origin": ["null", "https://evil.example", "http://localhost", "http://[::1", ""],
    "Sec-Fetch-Site": ["cross-site", "same-origin", "x"],
    "Accept": ["text/html", "application/json", "*/*;q=x", "application/openmetrics-text; version=1.0.0"],
    "Accept-Encoding": ["gzip", "gzip;q=0", "br, gzip;q=x"],
    "Range": ["bytes=0-", "bytes=5-1", "bytes=-1", "x"],
    "Cookie": ["dream_session=x", "dream_session=a.b.c", "=;=;=", "a=" + "b" * 3000],
    "X-Forwarded-For": ["1.2.3.4", "::1", "x", ""],
    "X-Forwarded-Proto": ["https", "x"],
    "Expect": ["100-continue", "x"],
    "Upgrade": ["websocket", "h2c"],
    "Connection": ["Upgrade", "keep-alive", "x"],
    "Content-Encoding": ["gzip", "x"],
}
TYPES = [
    *("application/json", "multipart/form-data; boundary=BB", "multipart/form-data", "application/json; charset=x"),
    *("application/x-www-form-urlencoded", "text/plain", "", 'multipart/form-data; boundary="B B"', "a/b; c"),
]
PARAMS = {"octaves": 2, "iterations": 3, "layers": [{"layer": "block11_expand", "channels": [1, 2]}], "strength": 0.5}
BODIES: list[dict[str, object]] = [
    {"image": {"upload": "01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "params": PARAMS, "webhook_url": "https://bücher.example/x"},
    {"kind": "feature_maps", "image": {"upload": "x"}, "params": {"layer": "stem", "channels": [1, 1]}},
    {"key": "dream_0123456789abcdef_x"},
    {"owner": "ann", "name": "a key"},
    {"size_bytes": 1000, "content_type": "image/png"},
    {"name": "a title"},
    {"deadline_s": 5},
]


@dataclass(frozen=True)
class Target:
    """What requests are about."""

    routes: Sequence[tuple[str, str]]  # method and rule of the application
    job_id: str
    keys: Sequence[str]


def a_request(rng: random.Random, target: Target) -> bytes:
    """Returns the bytes of one request, whose connection the client closes behind it."""
    method, path = _line(rng, target)
    submits = (method, path) == ("POST", "/v1/jobs")
    body, mimetype = (
        _body(rng, forms=0.7 if submits else 0.1)
        if method in {"POST", "PUT", "PATCH"} or rng.random() < 0.05
        else (b"", "")
    )
    headers = ["Host: localhost" if rng.random() < 0.97 else rng.choice(["Host:", "Host: a b", "X: 1"])]
    headers += ["Connection: close"] if rng.random() < 0.8 else []
    if rng.random() < 0.9:
        headers.append(
            f"Authorization: {rng.choice([f'Bearer {key}' for key in target.keys] * 3 + ['Basic x', 'Bearer'])}"
        )
    for name in rng.sample(sorted(HEADERS), rng.choice([0, 0, 1, 2, 4])):
        headers.append(f"{name}: {rng.choice(HEADERS[name])}")
    if mimetype:
        headers.append(f"Content-Type: {mimetype if rng.random() < 0.9 else rng.choice(TYPES)}")
    body = _framed(rng, headers, body)
    raw = "\r\n".join([f"{method} {path} HTTP/1.1", *headers]).encode("utf-8", "surrogatepass") + b"\r\n\r\n" + body
    return damaged(rng, raw) if rng.random() < 0.25 else raw


def damaged(rng: random.Random, data: bytes) -> bytes:
    """Returns the bytes with some changed, removed, repeated or put in, mostly near the beginning."""
    broken = bytearray(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(min(64, len(broken)) + 1) if rng.random() < 0.5 else rng.randrange(len(broken) + 1)
        some = rng.randbytes(rng.randint(1, 8))
        match rng.choice(["change", "cut", "insert", "repeat", "remove"]):
            case "change":
                broken[at : at + len(some)] = some
            case "cut":
                del broken[at:]
            case "insert":
                broken[at:at] = some
            case "repeat":
                broken[at:at] = broken[at : at + 64]
            case _:
                del broken[at : at + len(some)]
    return bytes(broken)


def _line(rng: random.Random, target: Target) -> tuple[str, str]:
    method, rule = ("POST", "/v1/jobs") if rng.random() < 0.3 else rng.choice(target.routes)
    path = rule
    while "<" in path:
        before, _, rest = path.partition("<")
        argument = target.job_id if rng.random() < 0.6 else rng.choice(ODD_TEXTS)
        path = before + _quoted(rng, argument) + rest.partition(">")[2]
    if rng.random() < 0.2:
        path += f"?{rng.choice(['limit', 'cursor', 'state', 'kind', 'x'])}={_quoted(rng, rng.choice(ODD_TEXTS))}"
    if rng.random() < 0.02:
        path = rng.choice(["*", "", "//", "http://localhost/v1/jobs", "/" + "a" * 9000, "/%ff%fe", "/v1/../metrics"])
    return (rng.choice(METHODS) if rng.random() < 0.1 else method), path


def _quoted(rng: random.Random, text: str) -> str:
    if rng.random() < 0.1:
        return text.replace("\x00", "").replace(" ", "")
    return "".join(c if c.isascii() and c.isalnum() else "".join(f"%{b:02x}" for b in c.encode()) for c in text)


def _body(rng: random.Random, *, forms: float) -> tuple[bytes, str]:
    """Returns a body and its media type.   forms: the share of forms."""
    if rng.random() < forms:
        return _form(rng), "multipart/form-data; boundary=BB"
    if rng.random() < 0.1:
        return rng.randbytes(rng.randint(0, 500)), "application/json"
    if rng.random() < 0.02:
        return b"[" * rng.choice([5_000, 300_000]), "application/json"
    return _json(rng), "application/json"


def _json(rng: random.Random) -> bytes:
    document = json.loads(json.dumps(rng.choice(BODIES)))
    for _ in range(rng.choice([0, 1, 1, 2])):
        _mutate(rng, document)
    return json.dumps(document, ensure_ascii=rng.random() < 0.5).encode("utf-8", "surrogatepass")


def _mutate(rng: random.Random, node: object) -> None:
    if isinstance(node, dict) and node:
        name = rng.choice(list(node))
        if isinstance(node[name], dict | list) and rng.random() < 0.6:
            _mutate(rng, node[name])
        elif rng.random() < 0.2:
            node[rng.choice(["octavs", "", "image", "__class__", "a" * 300])] = deepcopy(rng.choice(ODD_VALUES))
        else:
            node[name] = deepcopy(rng.choice(ODD_VALUES))
    elif isinstance(node, list) and node:
        node[rng.randrange(len(node))] = deepcopy(rng.choice(ODD_VALUES))


def _form(rng: random.Random) -> bytes:
    picture = rng.choice(PICTURES)
    if rng.random() < 0.5 and picture:
        picture = damaged(rng, picture)
    parts = [b'Content-Disposition: form-data; name="image"; filename="a.jpg"\r\n\r\n' + picture]
    if rng.random() < 0.5:
        params = json.loads(json.dumps(PARAMS))
        _mutate(rng, params)
        text = json.dumps(params).encode() if rng.random() < 0.8 else rng.choice(ODD_TEXTS).encode()
        parts.append(b'Content-Disposition: form-data; name="params"\r\n\r\n' + text)
    for name in rng.sample(
        ["guide", "mask", "kind", "name", "priority", "webhook_url", "x", "octaves"], rng.choice([0, 1, 2])
    ):
        value = rng.choice(PICTURES) if name in {"guide", "mask"} else rng.choice(ODD_TEXTS).encode()
        filename = b'; filename="b"' if name in {"guide", "mask"} else b""
        parts.append(b'Content-Disposition: form-data; name="' + name.encode() + b'"' + filename + b"\r\n\r\n" + value)
    return b"".join(b"--BB\r\n" + part + b"\r\n" for part in parts) + b"--BB--\r\n"


def _framed(rng: random.Random, headers: list[str], body: bytes) -> bytes:
    """Adds the body's length to the headers, right or wrong, and returns the body as it is sent."""
    kind = rng.random()
    if kind < 0.8:
        headers += [f"Content-Length: {len(body)}"] if body else []
    elif kind < 0.9:
        headers.append("Transfer-Encoding: chunked")
        return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (body[:50], body[50:]) if part) + b"0\r\n\r\n"
    else:
        headers.append(f"Content-Length: {rng.choice([0, 1, len(body) + 5, 10**12, '-1', 'x', '1, 1'])}")
    return body
