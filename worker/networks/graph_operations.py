"""The operations that a graph file may use: those that compute images from images, and none that read, write or run."""

import tensorflow as tf

from shared.errors import ModelCorrupt

_ARITHMETIC = """
Abs Add AddN AddV2 Div Exp Log Maximum Minimum Mul Neg Pow RealDiv Reciprocal Rsqrt Sqrt Square SquaredDifference Sub
"""
_ACTIVATIONS = """
Elu Erf LeakyRelu LogSoftmax Relu Relu6 Selu Sigmoid Softmax Softplus Softsign Tanh
"""
_LAYERS = """
AvgPool BatchMatMul BatchMatMulV2 BatchNormWithGlobalNormalization BiasAdd BiasAddV1 Conv2D Conv2DBackpropInput
DepthwiseConv2dNative FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 LRN MatMul Max MaxPool MaxPoolV2 Mean Min Sum
"""
_SHAPES = """
BatchToSpaceND Cast Concat ConcatV2 DepthToSpace ExpandDims Fill MirrorPad Pack Pad PadV2 Range Reshape ResizeBilinear
ResizeNearestNeighbor Reverse ReverseV2 Shape Slice SpaceToBatchND SpaceToDepth Split SplitV Squeeze StridedSlice
Tile Transpose Unpack
"""
_OTHERS = "Const Identity IdentityN NoOp Placeholder PlaceholderWithDefault StopGradient"
ALLOWED = frozenset(" ".join((_ARITHMETIC, _ACTIVATIONS, _LAYERS, _SHAPES, _OTHERS)).split())


def check_operations(graph: tf.compat.v1.GraphDef, name: str) -> None:
    """Raises ModelCorrupt for a graph with another operation.   name: of the file."""
    for node in graph.node:
        if node.op not in ALLOWED:
            raise ModelCorrupt(
                f"{name} uses the operation {node.op[:100]} (in the node '{node.name[:100]}'), which no image network "
                "needs: a graph that could read or write files is not loaded"
            )


def allowed_part(graph: tf.compat.v1.GraphDef) -> tf.compat.v1.GraphDef:
    """Returns the nodes that depend on allowed operations alone."""
    dependents: dict[str, list[str]] = {}
    for node in graph.node:
        for source in node.input:
            dependents.setdefault(source_name(source), []).append(node.name)
    left_out: set[str] = set()
    pending = [node.name for node in graph.node if node.op not in ALLOWED]
    while pending:
        name = pending.pop()
        if name not in left_out:
            left_out.add(name)
            pending += dependents.get(name, ())
    part = tf.compat.v1.GraphDef(versions=graph.versions)
    part.node.extend(node for node in graph.node if node.name not in left_out)
    return part


def source_name(source: str) -> str:
    """Returns the node that an input names, without its output's number or the mark of a control dependency."""
    return source.lstrip("^").split(":")[0]
