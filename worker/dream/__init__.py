"""The numerics: DeepDream by tiled gradient ascent over octaves. Pure: no queue, no store, no network.

TensorFlow reads these variables once, when it is first imported, and every import of it in this project is inside
`worker.dream` or `worker.networks`, which import this package first. So this is the one place that is early enough,
whether the worker, the command line or a test started the process. What the environment says already stays.
"""

import os
import sys

ONEDNN = "TF_ENABLE_ONEDNN_OPTS"

# By itself TensorFlow turns oneDNN on only where the CPU has AVX-512. Elsewhere, whether it is on would depend on which
# module was imported first, and with it the pixels: other kernels round differently.
if "tensorflow" in sys.modules and ONEDNN not in os.environ:
    raise ImportError(
        f"TensorFlow was imported before worker.dream and without {ONEDNN}, so this process might dream other pixels "
        f"than a worker does. Import worker.dream first, or set {ONEDNN}=1 in the environment."
    )
os.environ.setdefault(ONEDNN, "1")  # not TensorFlow's default on every CPU; 2x where it is missing
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
