"""Computes the gradient of a network's first convolution as an ordinary convolution.

With stride 2 that gradient is a transposed convolution with three output channels. Libraries are slow at it: oneDNN
takes three times as long for a kernel of 7 x 7 as for the convolution with 4 x 3 output channels that computes the
same numbers at half the resolution, four pixels per position; cuDNN splits it into thousands of small Fourier
transforms. Source: Shi et al. 2016, "Is the deconvolution layer the same as a convolutional layer?".
"""

from contextlib import AbstractContextManager

import tensorflow as tf

OPERATION = "Conv2D"
GRADIENT = "SubpixelConv2D"  # the name under which TensorFlow finds this gradient
_MOST_CHANNELS = 4  # of an image; with more, the transposed convolution is as fast


def gradients() -> AbstractContextManager[None]:
    """Returns a context in which the default graph's new convolutions have this gradient.

    Convolutions that are imported from a graph definition need GRADIENT in their attribute `_gradient_op_type`.
    """
    found: AbstractContextManager[None] = tf.compat.v1.get_default_graph().gradient_override_map({OPERATION: GRADIENT})
    return found


@tf.RegisterGradient(GRADIENT)  # type: ignore[untyped-decorator]
def _gradient(op: tf.Operation, upstream: tf.Tensor) -> tuple[tf.Tensor, None]:
    """Returns the gradient with respect to the convolution's input; nothing asks for its kernel's."""
    images, kernel = op.inputs
    padding = op.get_attr("padding")
    if (
        kernel.shape.is_fully_defined()
        and op.get_attr("strides") == [1, 2, 2, 1]
        and op.get_attr("dilations") == [1, 1, 1, 1]
        and op.get_attr("data_format") == b"NHWC"
        and padding in {b"SAME", b"VALID"}
        and kernel.shape[2] <= _MOST_CHANNELS
        and 1 < kernel.shape[0] == kernel.shape[1]
    ):
        return transposed_convolution(upstream, kernel, tf.shape(images), padding.decode()), None
    attributes = ("strides", "padding", "use_cudnn_on_gpu", "explicit_paddings", "data_format", "dilations")
    same = {name: op.get_attr(name) for name in attributes}
    return tf.raw_ops.Conv2DBackpropInput(
        input_sizes=tf.shape(images), filter=kernel, out_backprop=upstream, **same
    ), None


def transposed_convolution(upstream: tf.Tensor, kernel: tf.Tensor, shape: tf.Tensor, padding: str) -> tf.Tensor:
    """Returns what `tf.nn.conv2d_transpose` with stride 2 returns, apart from rounding.

    upstream: (n, h, w, out); kernel: (k, k, in, out), k > 1; shape: of the result, (n, H, W, in).
    padding: "SAME" or "VALID", of the convolution whose gradient this is.
    """
    # Pixel 2 q + r of the result, r in {0, 1}, is the sum over i of upstream[i] kernel[2 q + r + before - 2 i], where
    # `before` pixels of padding precede the image. So i - q lies between `first` and `last`, whatever q is.
    edge, _, channels, outputs = kernel.shape
    before = (edge - 2) // 2 if padding == "SAME" else 0  # where H is even; see `cut`
    first, last = (before - edge + 2) // 2, (before + 1) // 2
    taps = last - first + 1
    odd = before % 2
    pieces = tf.pad(kernel, [[odd, 2 * taps - edge - odd]] * 2 + [[0, 0]] * 2)
    pieces = tf.reshape(pieces, (taps, 2, taps, 2, channels, outputs))[::-1, :, ::-1]
    pieces = tf.reshape(tf.transpose(pieces, (0, 2, 5, 1, 3, 4)), (taps, taps, outputs, 4 * channels))
    half = (shape[1:3] + 1) // 2  # positions of q
    after = half - tf.shape(upstream)[1:3] + last
    around = tf.stack([tf.fill([2], -first), after], axis=1)
    found = tf.nn.conv2d(tf.pad(upstream, tf.pad(around, [[1, 1], [0, 0]])), pieces, 1, "VALID")
    # "SAME" pads one pixel more in front where H is odd and k is odd: there the result begins one pixel later.
    cut = shape[1:3] % 2 if padding == "SAME" and edge % 2 else tf.zeros(2, tf.int32)
    return tf.slice(tf.nn.depth_to_space(found, 2), tf.pad(cut, [[1, 1]]), shape)
