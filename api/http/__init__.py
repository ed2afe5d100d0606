"""Shared by all responses: problem details, request metrics and the OpenAPI document."""
