"""Loads networks: one module per file format, selected by the catalog's `loader`."""

import worker.dream  # noqa: F401 - sets TensorFlow's variables before any module here imports it
