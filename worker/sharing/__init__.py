"""Dreams shared by several workers: a job's owner has idle workers compute some of its tiles."""
