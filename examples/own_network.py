"""Dreams with a network of your own: here a small Keras model, untrained.

The service does the same with a catalog file on the API's and the workers' machines:
    dream-worker describe my-net.keras >> catalog.toml
    export DREAM_CATALOG=catalog.toml
Run: python -m examples.own_network photo.jpg dream.png
"""

import sys
import tempfile
from pathlib import Path

from shared.networks import catalog
from shared.params import DreamParams, Target
from worker import images
from worker.dream.ascent import device
from worker.dream.engine import dream
from worker.networks import registry
from worker.networks.describe import catalog_entry


def make_network(path: Path) -> None:
    import keras  # noqa: PLC0415 - after worker.dream, which sets TensorFlow's variables

    layers = [
        keras.layers.Rescaling(1 / 255),
        keras.layers.Conv2D(16, 5, strides=2, padding="same", activation="relu", name="edges"),
        keras.layers.Conv2D(32, 5, strides=2, padding="same", activation="relu", name="shapes"),
        keras.layers.GlobalAveragePooling2D(),
        keras.layers.Dense(10),
    ]
    keras.Sequential([keras.Input((224, 224, 3)), *layers]).save(path)


def main(photograph: Path, result: Path) -> None:
    device.prepare()
    with tempfile.TemporaryDirectory() as folder:
        make_network(Path(folder) / "my-net.keras")
        (Path(folder) / "catalog.toml").write_text(catalog_entry(Path(folder) / "my-net.keras"))
        catalog.extend(Path(folder) / "catalog.toml")
        network = registry.load("my-net", Path(folder))
    params = catalog.resolve(DreamParams(model="my-net", layers=(Target(layer="shapes"),), octaves=3))
    with photograph.open("rb") as file:
        image = images.decode(file, max_pixels=100_000_000).image
    dreamed, report = dream(network, image, params)
    with result.open("wb") as file:
        images.encode(dreamed, file, format="png", recipe=report.recipe())


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
