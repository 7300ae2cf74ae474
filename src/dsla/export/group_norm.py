"""Group normalisation in ONNX, without asking for the size of what is normalised."""

from typing import Any


def onnx_group_norm(
    x: Any, groups: int, weight: Any = None, bias: Any = None, eps: float = 1e-5, cudnn_enabled: bool = True
) -> Any:
    """An instance normalisation over the groups of a map (B, C, H, W), then scale and shift.

    The exporter's own way flattens each group and asks the map for its shape to undo that; in 8 bits the whole map is
    then widened, and its channels put last again, for the sake of four numbers. Here the width stays as it is (0 in a
    shape), and a group's channels lie one below the other.
    """
    import onnxscript

    op: Any = onnxscript.opset18  # its operators are typed for scripts, not for calls while tracing
    channels = int(x.shape[1])
    ones, zeros = (op.Constant(value_floats=[value] * groups) for value in (1.0, 0.0))
    grouped = op.Reshape(x, op.Constant(value_ints=[0, groups, -1, 0]))
    even = op.InstanceNormalization(grouped, ones, zeros, epsilon=eps)
    y = op.Reshape(even, op.Constant(value_ints=[0, channels, -1, 0]))
    each = op.Constant(value_ints=[channels, 1, 1])
    y = y if weight is None else op.Mul(y, op.Reshape(weight, each))
    return y if bias is None else op.Add(y, op.Reshape(bias, each))
