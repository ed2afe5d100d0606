"""Accepting, reading and canceling jobs, independent of HTTP except for request parsing."""
