"""`make bench`. Imports worker.dream before any module here imports TensorFlow, so that all variants use oneDNN."""

import worker.dream  # noqa: F401
