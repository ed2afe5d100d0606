"""Writes a recipe that is too long for EXIF to a JPEG's extended XMP, in as many segments as it needs.

Source: Adobe, XMP Specification Part 3, section 1.1.3.1.
"""

import hashlib
import struct
from xml.sax.saxutils import escape

NAMESPACE = "urn:dreamqueue:1"
STANDARD, EXTENSION = b"http://ns.adobe.com/xap/1.0/\0", b"http://ns.adobe.com/xmp/extension/\0"
PORTION_BYTES = 65_400  # of the extended packet in one segment

_PACKET = (
    '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about="" xmlns:{prefix}="{namespace}"><{name}>{value}</{name}></rdf:Description>'
    "</rdf:RDF></x:xmpmeta>"
)


def segments(recipe: str) -> bytes:
    """Returns the JPEG segments that carry it."""
    extended = _packet("dream", NAMESPACE, "dream:recipe", escape(recipe))
    guid = hashlib.md5(extended, usedforsecurity=False).hexdigest().upper()
    standard = _packet("xmpNote", "http://ns.adobe.com/xmp/note/", "xmpNote:HasExtendedXMP", guid)
    made = [_segment(STANDARD + standard)]
    for at in range(0, len(extended), PORTION_BYTES):
        head = EXTENSION + guid.encode() + struct.pack(">II", len(extended), at)
        made.append(_segment(head + extended[at : at + PORTION_BYTES]))
    return b"".join(made)


def _packet(prefix: str, namespace: str, name: str, value: str) -> bytes:
    return _PACKET.format(prefix=prefix, namespace=namespace, name=name, value=value).encode()


def _segment(body: bytes) -> bytes:
    return b"\xff\xe1" + struct.pack(">H", 2 + len(body)) + body
