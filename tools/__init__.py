"""Generators of documentation, the OpenAPI document, dashboards and thumbnails."""

import worker.dream  # noqa: F401
