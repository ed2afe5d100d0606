"""What the dream needs to know of a network. `worker.networks` builds them, tests bring toys."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf


@dataclass(frozen=True, kw_only=True, slots=True, eq=False, weakref_slot=True)
class Network:
    """A network's trunk, differentiable and fully convolutional. Compared and cached by identity: load it once."""

    name: str
    weights_sha256: str  # of the file that the weights came from
    minimum_px: int  # the shortest side that it accepts
    strides: Mapping[str, int]  # layer -> input pixels per step of the layer's grid
    gradient_bytes_per_px: int  # memory that a window's gradient takes, per pixel of the window: decides the tile size
    activations: Callable[[tf.Tensor, Sequence[str]], list[tf.Tensor]]
    """activations(images, layers): images float32 (n, h, w, 3), RGB, 0..255; one (n, h', w', c) per layer, in order.
    Traceable by tf.function; nothing above the highest layer is computed."""

    def stride(self, layers: Sequence[str]) -> int:
        """The largest stride of those layers, in pixels: the grid that all windows must share."""
        return max(self.strides[layer] for layer in layers)
