"""One attempt at a job: its claim and lease, checkpoints, the engine's run and the result."""
