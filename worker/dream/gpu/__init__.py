"""Gradient ascent on a GPU: the image stays in its memory, and tiles run in batches."""
