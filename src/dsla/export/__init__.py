"""Models for other run-times: ONNX, OpenVINO and torch.export, proven equal before they are handed over."""

from dsla.export.exporting import Exported, export

__all__ = ["Exported", "export"]
