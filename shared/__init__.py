"""Shared by the API and the workers: jobs, parameters, networks, Redis, S3, settings."""
