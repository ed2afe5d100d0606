"""Examples for the OpenAPI document. The tests send each of them."""

from typing import Any

UPLOAD_ID = "01JGZQ8V5T6WX1M3N9K7C2B4DA"

SUBMISSION: dict[str, Any] = {
    "uploaded": {
        "image": {"upload": UPLOAD_ID},
        "params": {"layers": [{"layer": "block11_expand"}], "octaves": 4, "iterations": 10, "seed": 7},
        "priority": "low",
    }
}
REQUESTS: dict[str, dict[str, Any]] = {
    "createUpload": {"a photograph": {"size_bytes": 4_200_000, "content_type": "image/jpeg"}, "anything": {}},
    "beginUpload": {"a gigapixel": {"size_bytes": 3_000_000_000, "content_type": "image/tiff"}},
    "createKey": {"for a person": {"owner": "ann", "name": "laptop"}, "for a machine": {"owner": "nightly-batch"}},
    "logIn": {"with a key": {"key": "dream_0f1e2d3c4b5a6978_ZXhhbXBsZS1vZi1hLXNlY3JldC1wYXJ0LW9mLWEta2V5"}},
}
RECORDS: dict[str, Any] = {
    "Problem": {
        "type": "urn:dreamqueue:problem:invalid_field",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": "unknown layer 'mixed4z'; did you mean 'mixed4a'?",
        "code": "invalid_field",
        "path": "params.layers.0.layer",
        "suggestion": "mixed4a",
    },
    "DreamParams": {"octaves": 4, "octave_scale": 0.7, "iterations": 10, "layers": [{"layer": "block11_expand"}]},
    "Target": {"layer": "block11_expand", "channels": [3, 17], "weight": 2.0},
}
