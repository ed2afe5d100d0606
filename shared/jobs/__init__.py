"""Jobs: their data, and every change of their state in S3 and Redis in the right order."""
