"""What the API and the workers share: jobs, parameters, networks, Redis, S3, settings."""
