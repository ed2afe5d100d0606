"""Checks everything that a worker depends on, for `dream-worker doctor`."""
