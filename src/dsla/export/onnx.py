"""Write a detector as an ONNX file that describes itself."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from dsla.errors import ModelError
from dsla.export.graph import RawGraph
from dsla.export.group_norm import onnx_group_norm
from dsla.export.suppression import onnx_suppress
from dsla.export.trace import quiet, traced
from dsla.models.deform import DeformConv

OPSET = 18  # what run-times of the last years read; it has all that is needed
OPSET_DEFORM = 19  # the first with deformable convolutions; OpenVINO crashes on them
_LEAST_FOR_HALF = 256  # numbers; what is smaller saves nothing, and scales and shifts keep their digits


def to_onnx(graph: RawGraph) -> Any:
    """The graph as an `onnx.ModelProto`, without a description.

    Raises:
        ModelError: if the network has an operator that ONNX lacks.
    """
    program = traced(graph)
    deforms = any(isinstance(module, DeformConv) for module in graph.modules())
    table: dict[Any, Any] = {
        torch.ops.dsla.suppress.default: onnx_suppress,
        torch.ops.aten.group_norm.default: onnx_group_norm,
    }
    try:
        with quiet():
            exported = torch.onnx.export(
                program,
                dynamo=True,
                opset_version=OPSET_DEFORM if deforms else OPSET,
                input_names=["images", "sizes"],
                output_names=graph.outputs,
                custom_translation_table=table,
                verbose=False,
            )
    except Exception as error:  # an unknown operator is reported in as many ways as there are
        raise ModelError(f"ONNX cannot say what this network does ({str(error).strip()[:300]})") from error
    assert exported is not None
    model = exported.model_proto
    _name_dimensions(model)
    return model


def describe_onnx(model: Any, texts: Mapping[str, str]) -> None:
    """Put a description into the metadata, in place of what is there."""
    del model.metadata_props[:]
    for key, text in texts.items():
        model.metadata_props.add(key=key, value=text)
    model.producer_name = "dsla"


def halve(model: Any) -> None:
    """Store the weights of convolutions and matrix products as 16-bit floats, computed with as 32-bit ones.

    Processors without 16-bit arithmetic would run a graph of half floats through casts at every operator. The file is
    half as large, the run-time widens the weights once when it loads them.
    """
    import numpy as np
    from onnx import TensorProto, helper, numpy_helper

    weights = {node.input[1] for node in model.graph.node if node.op_type in ("Conv", "MatMul", "Gemm")}
    casts: list[Any] = []
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name not in weights or values.dtype != np.float32 or values.size < _LEAST_FOR_HALF:
            continue
        name, half = tensor.name, f"{tensor.name}_half"
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), half))
        casts.append(helper.make_node("Cast", [half], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def save_onnx(model: Any, path: Path) -> None:
    """Write the file, after ONNX's own checker has seen it."""
    import onnx

    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _name_dimensions(model: Any) -> None:
    """Names a person can read, where the tracer numbered its symbols."""
    names = {"images": ("batch", None, "height", "width"), "sizes": ("batch", None)}
    for value in (*model.graph.input, *model.graph.output):
        shape = value.type.tensor_type.shape.dim
        for dim, name in zip(shape, names.get(value.name, ("batch", "points", None)), strict=False):
            if dim.HasField("dim_param") and name:
                dim.dim_param = name
    del model.graph.value_info[:]  # they speak of the symbols by their old names
