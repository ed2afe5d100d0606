"""S3: the object storage and the layout of its keys."""
