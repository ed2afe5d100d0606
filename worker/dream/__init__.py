"""Implements the numerics: DeepDream by tiled gradient ascent over octaves, without a queue, a store or network access.

TensorFlow reads the environment variables below once, when it is first imported. Every import of it in this project is
inside `worker.dream` or `worker.networks`, which import this package first. So this is the only place that is early
enough, whether the worker, the command line or a test started the process. Variables that are already set are kept.
"""

import os
import sys

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"

# By default TensorFlow enables oneDNN only on CPUs with AVX-512. On other CPUs the module that is imported first would
# decide whether it is enabled, and with it the pixels, because different kernels round differently.
if "tensorflow" in sys.modules and ONEDNN not in os.environ:
    raise ImportError(
        f"TensorFlow was imported before worker.dream and without {ONEDNN}, so this process might compute different "
        f"pixels than a worker. Import worker.dream first, or set {ONEDNN}=1 in the environment."
    )
os.environ.setdefault(ONEDNN, "1")  # not TensorFlow's default on every CPU; twice as fast where it is not
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
