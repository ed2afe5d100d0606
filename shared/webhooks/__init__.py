"""Webhooks: the outbox in S3, signatures and outbound requests."""
