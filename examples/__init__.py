"""Example programs; see examples/README.md."""
