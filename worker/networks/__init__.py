"""Networks and how their weights are loaded: one module per way of loading, found by the catalog's `loader`."""

import worker.dream  # noqa: F401 - sets TensorFlow's variables before any module here imports it
