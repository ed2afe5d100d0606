"""Compares the tiled gradient with the whole image's: their cosine at the same phase, before normalization."""

import cv2
import numpy as np
import skimage.data
import tensorflow as tf

from shared.params import DreamParams, Target
from worker.dream.ascent.gradient import gradient_of
from worker.dream.engine import choose_tile_size
from worker.dream.tiles.tiling import choose_layout


def cosine(network, layer, *, height, width):
    image = cv2.resize(skimage.data.retina(), (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    targets = (Target(layer=layer),)
    compute = gradient_of(network, targets)
    whole = compute(tf.constant(image[None])).numpy()[0]
    stride = network.strides[layer]
    tile_size = choose_tile_size(network, DreamParams(layers=targets), height, width)
    layout = choose_layout(height, width, tile_size=tile_size, stride=stride, halo=network.halo([layer]))
    product = squares = others = 0.0
    for tile in layout.tiles(np.random.default_rng(0)):
        window = image[slice(*tile.window[0]), slice(*tile.window[1])]
        core = compute(tf.constant(window[None])).numpy()[0][tile.core_in_window].astype(np.float64)
        true = whole[slice(*tile.core[0]), slice(*tile.core[1])]
        product += float((core * true).sum())
        squares += float((core**2).sum())
        others += float((true.astype(np.float64) ** 2).sum())
    return product / np.sqrt(squares * others)
