"""Generators of documentation, the OpenAPI document, dashboards and thumbnails."""
