"""Server-sent events of a job, and waiting for its end."""
