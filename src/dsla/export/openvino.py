"""Write a detector in OpenVINO's format, from its ONNX form."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dsla.errors import ModelError
from dsla.runtime.session import RT_INFO, XML


def save_openvino(model: Any, folder: Path, texts: Mapping[str, str], *, half: bool) -> None:
    """Convert an `onnx.ModelProto` and write `model.xml` and `model.bin`.

    Args:
        model: 32-bit or quantised.
        folder: made where missing.
        texts: the description.
        half: store weights as 16-bit floats.

    Raises:
        ModelError: if OpenVINO cannot read the graph, or not run it.
    """
    import openvino

    if any(node.op_type == "DeformConv" for node in model.graph.node):
        raise ModelError(
            "OpenVINO cannot run this network: it crashes on deformable convolutions; --format onnx runs in onnxruntime"
        )
    folder.mkdir(parents=True, exist_ok=True)
    try:
        # Not `convert_model`, which reports its use to OpenVINO's makers over the network.
        converted = openvino.Core().read_model(model.SerializeToString(), b"")
    except Exception as error:  # OpenVINO raises its own kinds for whatever it is
        raise ModelError(f"OpenVINO cannot read this network ({str(error).strip()[:300]})") from error
    for name, text in texts.items():
        converted.set_rt_info(text, [RT_INFO, name])
    openvino.save_model(converted, folder / XML, compress_to_fp16=half)
