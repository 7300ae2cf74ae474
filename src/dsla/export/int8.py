"""Round a network's convolutions to 8 bits, with ranges measured on pictures (onnxruntime's static quantisation).

Weights are rounded channel by channel, activations by one range a tensor. Only convolutions are quantised: they are
nearly all of the time, while boxes, scores and group normalisation keep their digits. The first convolution and the
depthwise ones stay as they are: few multiplications, and most of what AP would lose (see docs/export.md).
"""

from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from dsla.data.sample import Batch
from dsla.errors import ModelError
from dsla.export.trace import quiet


def quantise(model: Any, batches: Iterable[Batch]) -> Any:
    """An 8-bit twin of an `onnx.ModelProto`, as quantise and dequantise pairs around its convolutions.

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
            self._batches = iter(batches)

        def get_next(self) -> Any:
            batch = next(self._batches, None)
            return None if batch is None else {"images": batch.images.numpy(), "sizes": batch.sizes.numpy()}

    with TemporaryDirectory() as folder, quiet():
        source, prepared, target = (Path(folder) / name for name in ("in.onnx", "prepared.onnx", "out.onnx"))
        onnx.save(model, source)
        try:
            q.quant_pre_process(source, prepared, skip_symbolic_shape=True)
            convs = [node for node in onnx.load(prepared).graph.node if node.op_type == "Conv"]
            kept = [node.name for index, node in enumerate(convs) if index == 0 or _grouped(node)]
            q.quantize_static(
                prepared,
                target,
                Reader(),
                quant_format=q.QuantFormat.QDQ,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=q.QuantType.QUInt8,
                weight_type=q.QuantType.QInt8,
                nodes_to_exclude=kept,
                calibrate_method=q.CalibrationMethod.MinMax,
            )
        except Exception as error:  # onnxruntime raises whatever its graph passes meet
            raise ModelError(f"onnxruntime cannot quantise this network ({str(error).strip()[:300]})") from error
        return onnx.load(target)


def _grouped(node: Any) -> bool:
    return any(attribute.name == "group" and attribute.i > 1 for attribute in node.attribute)
