"""Defines the interface of a network to the engine. `worker.networks` builds networks; tests define toy networks."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import tensorflow as tf

from worker.dream.tiles.tiling import halo_for


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class Network:
    """Holds a network's trunk, differentiable and fully convolutional.

    Networks are compared and cached by identity, so load each only once.
    """

    name: str
    weights_sha256: str  # of the file that the weights were loaded from
    minimum_px: int  # the shortest side that the network accepts
    strides: Mapping[str, int]  # layer -> input pixels per step of the layer's grid
    gradient_bytes_per_px: (
        int  # memory that a window's gradient takes, per pixel of the window; determines the tile size
    )
    activations: Callable[[tf.Tensor, Sequence[str]], list[tf.Tensor]]
    """Computes activations(images, layers): one (n, h', w', c) per layer, in order.

    images: float32 (n, h, w, 3), RGB, 0..255.
    Traceable by tf.function; computes no layer above the highest of `layers`.
    """

    halos: Mapping[str, int] = field(default_factory=dict)  # layer -> measured halo, pixels, where it is known

    def halo(self, layers: Sequence[str]) -> int:
        """Returns the context, in pixels, with which a tile's gradient of those layers is nearly the whole image's."""
        return max(self.halos.get(layer, halo_for(self.strides[layer])) for layer in layers)

    def stride(self, layers: Sequence[str]) -> int:
        """Returns the largest stride of those layers, in pixels: the grid to which all windows must align."""
        return max(self.strides[layer] for layer in layers)
