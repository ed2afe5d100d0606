"""What all responses share: problem details, request metrics and the OpenAPI document."""
