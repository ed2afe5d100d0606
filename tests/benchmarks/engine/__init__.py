"""`make bench`. Imports worker.dream before any module here imports TensorFlow, so that all ways have oneDNN."""

import worker.dream  # noqa: F401
