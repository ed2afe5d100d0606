"""HEIC files that pillow-heif can't write.

With a depth map, as iPhones write them for portraits: a second picture that refers to the first; and without `mdat`.
"""

import io

import pillow_heif
from PIL import Image

DEPTH = b"urn:mpeg:hevc:2015:auxid:2\0"


def with_depth(picture: Image.Image, **options) -> bytes:
    """Returns the picture as HEIC with a depth map of a quarter of its size."""
    file = io.BytesIO()
    found = pillow_heif.from_pillow(picture)
    found.add_from_pillow(Image.linear_gradient("L").resize((picture.width // 4, picture.height // 4)))
    found.save(file, **{"quality": 95, **options})
    return _auxiliary(file.getvalue())


def inside_meta(data: bytes) -> bytes:
    """Returns the HEIC with the bytes of all items in the `meta` box, as the format allows too."""
    at, end = _boxes(data, 0, len(data))[b"meta"]
    meta = {name: data[start:stop] for name, (start, stop) in _boxes(data, at + 12, end).items()}
    iloc, idat = meta[b"iloc"], b""
    assert (iloc[8], iloc[12:14]) == (0, b"\x44\x40")  # version 0 with fields of 4 bytes, as libheif writes
    entries, place = [], 16
    for _ in range(int.from_bytes(iloc[14:16], "big")):
        item, base, extents = iloc[place : place + 2], _number(iloc, place + 4), iloc[place + 8 : place + 10]
        place += 10
        entries.append(item + b"\0\1" + bytes(6) + extents)  # method 1, counted from the start of `idat`
        for _ in range(int.from_bytes(extents, "big")):
            start, size = base + _number(iloc, place), _number(iloc, place + 4)
            entries.append(len(idat).to_bytes(4, "big") + size.to_bytes(4, "big"))
            idat += data[start : start + size]
            place += 8
    changed = meta | {b"iloc": box(b"iloc", b"\1\0\0\0" + iloc[12:16] + b"".join(entries)), b"idat": box(b"idat", idat)}
    return data[:at] + box(b"meta", data[at + 8 : at + 12] + b"".join(changed.values()))


def _number(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")


def _auxiliary(data: bytes) -> bytes:
    """Declares the second picture as auxiliary to the first: an `auxl` reference and an `auxC` property."""
    boxes = _boxes(data, 0, len(data))
    at, end = boxes[b"meta"]
    meta = {name: data[start:stop] for name, (start, stop) in _boxes(data, at + 12, end).items()}
    inner = _boxes(meta[b"iprp"], 8, len(meta[b"iprp"]))
    iprp = {name: meta[b"iprp"][start:stop] for name, (start, stop) in inner.items()}
    count = len(_list(iprp[b"ipco"], 8))
    ipco = box(b"ipco", iprp[b"ipco"][8:] + box(b"auxC", bytes(4) + DEPTH))
    owned, item = _owned(iprp[b"ipma"][8:], count + 1)
    ipma = box(b"ipma", owned)
    iref = box(b"iref", meta.get(b"iref", bytes(12))[8:] + box(b"auxl", item + b"\0\x01\0\x01"))
    changed = meta | {b"iprp": box(b"iprp", ipco + ipma), b"iref": iref}
    grown = sum(map(len, changed.values())) - sum(map(len, meta.values()))
    changed[b"iloc"] = _moved(meta[b"iloc"], grown)
    return data[:at] + box(b"meta", data[at + 8 : at + 12] + b"".join(changed.values())) + data[end:]


def _list(data: bytes, at: int) -> list[tuple[bytes, int, int]]:
    found = []
    while at < len(data):
        size = int.from_bytes(data[at : at + 4], "big") or len(data) - at
        found.append((data[at + 4 : at + 8], at, at + size))
        at += size
    return found


def _boxes(data: bytes, at: int, end: int) -> dict[bytes, tuple[int, int]]:
    return {name: (start, stop) for name, start, stop in _list(data[:end], at)}


def box(name: bytes, body: bytes) -> bytes:
    return (8 + len(body)).to_bytes(4, "big") + name + body


def _owned(ipma: bytes, number: int) -> tuple[bytes, bytes]:
    """Gives that property to the second picture, and returns that picture's id as well.

    ipma: the body, with items of 16 bits and properties of 8.
    """
    at = 8  # version, flags, count
    at += 3 + ipma[at + 2]
    count = ipma[at + 2]
    end = at + 3 + count
    changed = ipma[: at + 2] + bytes([count + 1]) + ipma[at + 3 : end] + bytes([number]) + ipma[end:]
    return changed, ipma[at : at + 2]


def _moved(iloc: bytes, by: int) -> bytes:
    """Adds to where the pixels lie. iloc: version 0 with fields of 4 bytes, as libheif writes."""
    assert (iloc[8], iloc[12:14]) == (0, b"\x44\x40")
    data, at = bytearray(iloc), 16
    for _ in range(int.from_bytes(iloc[14:16], "big")):
        base, extents = at + 4, int.from_bytes(iloc[at + 8 : at + 10], "big")
        data[base : base + 4] = (int.from_bytes(data[base : base + 4], "big") + by).to_bytes(4, "big")
        at += 10 + 8 * extents
    return bytes(data)
