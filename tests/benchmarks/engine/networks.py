"""The networks that are measured."""

import os
import tempfile
from pathlib import Path

from shared.networks import catalog
from tests.benchmarks.engine.stand_in import write_graph
from worker.networks import frozen_graph, registry

TARGETS = {"efficientnet-lite0": "block11_expand", "inception5h": "mixed4a"}


def load(name):
    """Inception5h is the stand-in: the same nodes and shapes, seeded weights. Others are read as workers read them."""
    if name != "inception5h":
        return registry.load(name, Path(os.environ.get("DREAM_MODEL_DIR", "models")))
    with tempfile.TemporaryDirectory() as folder:
        return frozen_graph.load(write_graph(Path(folder) / "graph.pb"), catalog.MODELS[name])
