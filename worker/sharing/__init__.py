"""Dreams shared by several workers: the coordinator, which runs the job, has idle workers compute some of its tiles."""
