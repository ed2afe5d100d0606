"""A plain, slow implementation of the algorithm, easy to check against its description. Nothing here is shared with
the engine but the tiles and the shift of an iteration, which are choices, and are passed in."""

import numpy as np
import tensorflow as tf
from PIL import Image
from scipy.ndimage import gaussian_filter


def pyramid(image, octaves, octave_scale, minimum_px):
    """Returns the photograph and its smaller versions, smallest first."""
    levels = [image]
    for _ in range(octaves - 1):
        height, width = int(levels[-1].shape[0] * octave_scale), int(levels[-1].shape[1] * octave_scale)
        if min(height, width) < minimum_px:
            break
        levels.append(resize(gaussian_filter(levels[-1], sigma=(0.5, 0.5, 0)), height, width))
    return levels[::-1]


def resize(image, height, width):
    """Resizes by antialiased Lanczos, channel by channel, in float."""
    colors = [
        Image.fromarray(image[..., color]).resize((width, height), Image.Resampling.LANCZOS) for color in range(3)
    ]
    return np.stack([np.asarray(color) for color in colors], axis=-1)


def dream(image, params, minimum_px, ascend):
    """Runs ascend(image, octave) for each octave; clips pixels between octaves and at the end."""
    result, below = None, None
    for octave, photograph in enumerate(pyramid(image, params.octaves, params.octave_scale, minimum_px)):
        start = photograph
        if result is not None and params.detail == "blend":
            start = params.blend * photograph + (1 - params.blend) * resize(result, *photograph.shape[:2])
        elif result is not None:
            start = photograph + resize(result - below, *photograph.shape[:2])
        below = photograph
        result = np.clip(ascend(start.astype(np.float32), octave), 0, 255)
    return result


def step(image, iteration, params, gradient, choices):
    """Returns the image after one iteration, not clipped. choices: its tiles and its shift."""
    g = tiled_gradient(image, gradient, *choices, normalized=params.normalize == "std")
    s = (smooth if params.smooth else mixed)(g, iteration, params.iterations, params.color)
    size = np.std(s) + 1e-8 if params.normalize == "std" else np.mean(np.abs(s))
    return image + s * params.step_size / size


def tiled_gradient(image, gradient, tiles, shift, *, normalized=True):
    """Returns the gradient of the shifted image, shifted back."""
    moved = move(image, shift)
    g = np.full(image.shape, np.nan)
    for tile in tiles:
        (top, bottom), (left, right) = tile.window
        (y0, y1), (x0, x1) = tile.core
        on_window = gradient(moved[top:bottom, left:right])
        core = on_window[y0 - top : y1 - top, x0 - left : x1 - left]
        g[y0:y1, x0:x1] = core / (np.std(core) + 1e-8) if normalized else core
    return move(g, (-shift[0], -shift[1]))


def move(image, shift):
    """Returns image[y + dy, x + dx] at (y, x), reflected about the border."""
    (dy, dx), (height, width, _) = shift, image.shape
    padded = np.pad(image, ((abs(dy), abs(dy)), (abs(dx), abs(dx)), (0, 0)), mode="symmetric")
    return padded[abs(dy) + dy :, abs(dx) + dx :][:height, :width]


def smooth(g, iteration, iterations, color):
    sigma = 4 * iteration / iterations + 0.5
    return blurred(g, sigma, color) + blurred(g, 2 * sigma, color) + blurred(g, sigma / 2, color)


def mixed(g, iteration, iterations, color):
    """Mixes the color channels as `smooth` does."""
    sigma = 4 * iteration / iterations + 0.5
    three = [gaussian_filter(g, sigma=(0, 0, s), mode="reflect", truncate=4) for s in (sigma, 2 * sigma, sigma / 2)]
    return np.mean(three, axis=0) if color == "keep" else g


def blurred(g, sigma, color):
    return gaussian_filter(g, sigma=(sigma, sigma, sigma if color == "keep" else 0), mode="reflect", truncate=4)


def gradient_of(network, targets):
    """Returns the gradient of the weighted sum of mean(activation²) by a GradientTape, for one window (h, w, 3)."""

    def gradient(window):
        x = tf.constant(window[None], tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(x)
            objective = 0.0
            for target, activation in zip(
                targets, network.activations(x, [target.layer for target in targets]), strict=True
            ):
                chosen = activation if target.channels is None else tf.gather(activation, target.channels, axis=-1)
                objective += target.weight * tf.reduce_mean(chosen**2)
        return tape.gradient(objective, x).numpy()[0]

    return gradient
