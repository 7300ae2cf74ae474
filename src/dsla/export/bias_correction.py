"""Take out of the biases what rounded weights add to a convolution's mean.

The errors of rounded weights do not cancel where what they are multiplied with has a mean, as behind every activation:
each channel of the output is shifted, and the shifts add up from layer to layer. The shift is known: the error of the
weights times the mean of the input, which pictures tell. Nagel et al., "Data-Free Quantization Through Weight
Equalization and Bias Correction" (ICCV 2019), section 4.2, with means that are measured.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from jaxtyping import Float

_CONV = "Conv"
Means = dict[str, Float[np.ndarray, " C"]]


def input_means(model: Any, feeds: Iterable[Mapping[str, np.ndarray]]) -> Means:
    """The mean of each channel that goes into a convolution, by the tensor's name, over some inputs of the graph.

    Args:
        model: an `onnx.ModelProto` in 32 bits; it is not altered.
        feeds: at least one set of inputs.
    """
    import onnx
    import onnxruntime

    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = sorted({node.input[0] for node in model.graph.node if node.op_type == _CONV})
    axes = onnx.numpy_helper.from_array(np.array([0, 2, 3]), "mean_axes")
    watched.graph.initializer.append(axes)
    del watched.graph.output[:]
    for name in names:
        mean = onnx.helper.make_node("ReduceMean", [name, axes.name], [f"{name}_mean"], keepdims=0)
        watched.graph.node.append(mean)
        watched.graph.output.append(onnx.helper.make_tensor_value_info(mean.output[0], onnx.TensorProto.FLOAT, None))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(watched.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rows: list[Any] = [session.run(None, dict(feed)) for feed in feeds]
    return {name: np.mean(values, axis=0) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def correct_biases(quantised: Any, model: Any, means: Means) -> None:
    """Change the biases of rounded convolutions; those without a bias stay as they are.

    Convolutions may share weights, but not rounded biases: these have the scale of the input too.

    Args:
        quantised: the 8-bit twin, whose nodes have the names of the model's; it is altered.
        model: in 32 bits.
        means: of `input_means`.
    """
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in quantised.graph.initializer}
    widened = {node.output[0]: node for node in quantised.graph.node if node.op_type == "DequantizeLinear"}
    twins = {node.name: node for node in quantised.graph.node if node.op_type == _CONV}
    exact = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    for conv in (node for node in model.graph.node if node.name in twins):
        words = twins[conv.name].input
        if len(words) < 3 or not {words[1], words[2]} <= widened.keys():
            continue
        (weight, scale), (bias, step) = (
            [numpy_helper.to_array(tensors[name]) for name in widened[word].input[:2]] for word in words[1:3]
        )
        rounded = weight * scale.reshape(-1, *[1] * (weight.ndim - 1))
        error = (rounded - exact[conv.input[1]]).sum(axis=(2, 3))  # (outputs, inputs of a group)
        groups = next((attribute.i for attribute in conv.attribute if attribute.name == "group"), 1)
        of_group = means[conv.input[0]].reshape(groups, -1).repeat(len(error) // groups, axis=0)
        shift = (error * of_group).sum(axis=1)
        tensor = tensors[widened[words[2]].input[0]]
        tensor.CopyFrom(numpy_helper.from_array(bias - np.round(shift / step).astype(bias.dtype), tensor.name))
