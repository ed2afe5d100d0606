"""The numerics: DeepDream by tiled gradient ascent over octaves. Pure: no queue, no store, no network.

TensorFlow reads these variables once, when it is first imported, and every import of it in this project is inside
`worker.dream` or `worker.networks`, which import this package first. So this is the one place that is early enough,
whether the worker, the command line or a test started the process. What the environment says already stays.
"""

import os

os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")  # not TensorFlow's default on every CPU; 2x where it is missing
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # errors only
