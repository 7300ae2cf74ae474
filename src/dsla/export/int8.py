"""Round a network to 8 bits, with ranges measured on pictures (onnxruntime's static quantisation).

Weights are rounded channel by channel, activations by one range a tensor. Convolutions are rounded, and what stands
between two of them, so that nothing goes back to 32 bits on the way; rounding after an activation and not before it
also keeps AP, since what the activation cuts off needs no digits. Biases make up for what the rounded weights add to
the mean. What belongs to a normalisation keeps 32 bits, and so do boxes, scores and suppression.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dsla.data.sample import Batch
from dsla.errors import ModelError
from dsla.export.bias_correction import correct_biases, input_means
from dsla.export.trace import quiet

_CONV = "Conv"
_BETWEEN = ("Add", "Clip", "Relu", "MaxPool", "Resize")  # that run-times compute in 8 bits
_EVERY = 4  # pictures, of which one is kept in memory for the means of activations
_NORMS = ("InstanceNormalization", "LayerNormalization", "BatchNormalization")


def quantise(model: Any, batches: Iterable[Batch]) -> Any:
    """An 8-bit twin of an `onnx.ModelProto`, as quantise and dequantise pairs around its operators.

    Args:
        model: the 32-bit graph.
        batches: pictures to measure ranges on.

    Raises:
        ModelError: if onnxruntime is not installed or cannot quantise the graph.
    """
    try:
        import onnx
        from onnxruntime import quantization as q
    except ImportError as error:
        raise ModelError(f"8-bit export needs {error.name}: pip install 'dsla[onnx]'") from error

    class Reader(q.CalibrationDataReader):
        def __init__(self) -> None:
            self._feeds = ({"images": batch.images.numpy(), "sizes": batch.sizes.numpy()} for batch in batches)
            self._read, self.some = 0, list[Any]()

        def get_next(self) -> Any:
            feed = next(self._feeds, None)
            if feed is not None and self._read % _EVERY == 0:
                self.some.append(feed)
            self._read += 1
            return feed

    reader = Reader()
    with TemporaryDirectory() as folder, quiet():
        source, prepared, target = (Path(folder) / name for name in ("in.onnx", "prepared.onnx", "out.onnx"))
        onnx.save(model, source)
        try:
            q.quant_pre_process(source, prepared, skip_symbolic_shape=True)
            exact = onnx.load(prepared)
            centred = _centred_bytes(exact.graph)
            q.quantize_static(
                prepared,
                target,
                reader,
                quant_format=q.QuantFormat.QDQ,
                nodes_to_quantize=sorted(_rounded(exact.graph)),
                per_channel=True,
                activation_type=q.QuantType.QUInt8,
                weight_type=q.QuantType.QInt8,
                calibrate_method=q.CalibrationMethod.MinMax,
                extra_options={"TensorQuantOverrides": {name: [found.range] for name, found in centred.items()}},
            )
            quantised = onnx.load(target)
            correct_biases(quantised, exact, input_means(exact, reader.some))
        except Exception as error:  # onnxruntime raises whatever its graph passes meet
            raise ModelError(f"onnxruntime cannot quantise this network ({str(error).strip()[:300]})") from error
    _without_detour(quantised.graph, centred)
    return quantised


def _rounded(graph: Any) -> set[str]:
    """Names of the operators that are computed in 8 bits."""
    makers = {name: node for node in graph.node for name in node.output}
    takers: dict[str, list[Any]] = {}
    for node in graph.node:
        for name in node.input:
            takers.setdefault(name, []).append(node)

    def before(node: Any) -> Iterator[Any]:
        return (makers[name] for name in node.input if name in makers)

    def after(node: Any) -> Iterator[Any]:
        return (taker for name in node.output for taker in takers.get(name, ()))

    convs = {node.name for node in graph.node if node.op_type == _CONV}
    nodes = [node for node in graph.node if node.name in convs]
    between = _reached(nodes, before) & _reached(nodes, after)
    norms = [node for node in graph.node if node.op_type in _NORMS]
    of_norms = _reached(norms, lambda node: (taker for taker in after(node) if taker.op_type != _CONV))
    beside = {node.name for node in graph.node if node.op_type in _BETWEEN}
    return convs | (beside & between - of_norms)


def _reached(start: Iterable[Any], step: Callable[[Any], Iterable[Any]]) -> set[str]:
    """Names of nodes that are reached from others, themselves included."""
    reached: set[str] = set()
    open_ = list(start)
    while open_:
        node = open_.pop()
        if node.name not in reached:
            reached.add(node.name)
            open_ += step(node)
    return reached


@dataclass(frozen=True)
class _Bytes:
    """Bytes from which a number was taken."""

    name: str
    range: dict[str, Any]
    """The scale and the zero point with which they are rounded to themselves."""


def _centred_bytes(graph: Any) -> dict[str, _Bytes]:
    """What is made of bytes by subtracting a whole number, by its name; see `dsla.export.first_conv`."""
    import numpy as np
    from onnx import numpy_helper

    numbers = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    casts = {node.output[0]: node.input[0] for node in graph.node if node.op_type == "Cast"}
    takes = {node.input[0] for node in graph.node if node.op_type == _CONV}
    return {
        node.output[0]: _Bytes(
            casts[node.input[0]],
            {"scale": np.array(1, np.float32), "zero_point": numbers[node.input[1]].astype(np.uint8)},
        )
        for node in graph.node
        if node.op_type == "Sub" and node.output[0] in takes and node.input[0] in casts and node.input[1] in numbers
    }


def _without_detour(graph: Any, centred: Mapping[str, _Bytes]) -> None:
    """Give bytes to a quantised convolution as they are, where they would be widened and rounded to themselves."""
    for node in [node for node in graph.node if node.op_type == "QuantizeLinear" and node.input[0] in centred]:
        for taker in graph.node:
            if node.output[0] in taker.input:
                taker.input[0] = centred[node.input[0]].name
        graph.node.remove(node)
    for kind in ("Sub", "Cast"):
        used = {name for node in graph.node for name in node.input}
        for node in [node for node in graph.node if node.op_type == kind and node.output[0] not in used]:
            graph.node.remove(node)
    used = {name for node in graph.node for name in node.input}
    for tensor in [tensor for tensor in graph.initializer if tensor.name not in used]:
        graph.initializer.remove(tensor)
