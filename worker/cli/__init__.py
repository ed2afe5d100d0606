"""The `dream-worker` command."""
