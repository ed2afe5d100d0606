"""The `dream` command."""
