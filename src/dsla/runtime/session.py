"""Run an exported model with onnxruntime or OpenVINO.

A session takes uint8 pictures and true sizes and gives the graph's outputs by name. Opening one runs no code from the
file: both formats hold graphs of known operators and numbers.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64, UInt8

from dsla.cores import run_time_threads
from dsla.errors import ConfigError, ModelError
from dsla.runtime.artefact import Artefact, parse_description

XML = "model.xml"
RT_INFO = "dsla"  # the branch of OpenVINO's run-time information that holds the description


@runtime_checkable
class Session(Protocol):
    """An exported model that is ready to run."""

    @property
    def artefact(self) -> Artefact:
        """What it says of itself."""
        ...

    @property
    def own_threads(self) -> bool:
        """Whether it computes on threads of its own, not on torch's."""
        ...

    def run(self, images: UInt8[np.ndarray, "B 3 H W"], sizes: Int64[np.ndarray, "B 2"]) -> Mapping[str, np.ndarray]:
        """The outputs by name; H and W are multiples of 32, `sizes` the true (h, w)."""
        ...


class OnnxSession:
    """An ONNX file in onnxruntime.

    Args:
        path: the file.
        device: cpu, cuda or cuda:1.
        threads: within an operator; None: as `dsla.cores.run_time_threads`.

    Raises:
        ModelError: if onnxruntime is not installed, or the file is damaged or not ours.
        ConfigError: if this onnxruntime cannot use the device.
    """

    own_threads = True

    def __init__(self, path: Path, device: str = "cpu", threads: int | None = None) -> None:
        try:
            import onnxruntime
        except ImportError as error:
            raise ModelError(f"{path}: needs onnxruntime, which is not installed: pip install 'dsla[onnx]'") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        threads = run_time_threads() if threads is None else threads
        if threads is not None:
            options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=_providers(device, onnxruntime.get_available_providers())
            )
        except (ConfigError, OSError):
            raise
        except Exception as error:  # onnxruntime's exceptions have no base of their own
            raise ModelError(
                f"{path}: not an ONNX file that onnxruntime {onnxruntime.__version__} can open; it may be cut short, "
                f"copy or export it again ({_first_line(error)})"
            ) from error
        self.artefact = parse_description(path, self._session.get_modelmeta().custom_metadata_map)
        self._names = [output.name for output in self._session.get_outputs()]

    def run(self, images: UInt8[np.ndarray, "B 3 H W"], sizes: Int64[np.ndarray, "B 2"]) -> Mapping[str, np.ndarray]:
        """See `Session`."""
        outputs: Any = self._session.run(self._names, {"images": images, "sizes": sizes})
        return dict(zip(self._names, outputs, strict=True))


class OpenVinoSession:
    """A folder with OpenVINO's `model.xml` and `model.bin`.

    Args:
        path: the folder, or the xml in it.
        threads: of the CPU; None: as `dsla.cores.run_time_threads`.

    Raises:
        ModelError: if OpenVINO is not installed, or the files are missing, damaged or not ours.
    """

    own_threads = True

    def __init__(self, path: Path, threads: int | None = None) -> None:
        try:
            import openvino
        except ImportError as error:
            raise ModelError(f"{path}: needs OpenVINO, which is not installed: pip install 'dsla[openvino]'") from error
        xml = path / XML if path.is_dir() else path
        for file in (xml, xml.with_suffix(".bin")):
            if not file.is_file():
                raise ModelError(f"{file}: no such file; an OpenVINO model is an .xml and a .bin of the same name")
        try:
            model: Any = openvino.Core().read_model(xml)
            written: dict[str, Any] = dict(model.get_rt_info()).get(RT_INFO, {})
            texts = {name: text.astype(str) for name, text in written.items()}
        except Exception as error:  # OpenVINO raises RuntimeError for whatever it is
            raise ModelError(
                f"{xml}: not a model of dsla that OpenVINO can open; it or its .bin may be cut short, copy or export "
                f"it again ({_first_line(error)})"
            ) from error
        self.artefact = parse_description(path, texts)
        # Some processors would compute in bfloat16 by themselves; scores would then differ in the second digit.
        settings: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
        threads = run_time_threads() if threads is None else threads
        if threads is not None:
            settings["INFERENCE_NUM_THREADS"] = threads
        self._compiled: Any = openvino.compile_model(model, "CPU", settings)
        self._names = [output.get_any_name() for output in self._compiled.outputs]

    def run(self, images: UInt8[np.ndarray, "B 3 H W"], sizes: Int64[np.ndarray, "B 2"]) -> Mapping[str, np.ndarray]:
        """See `Session`."""
        outputs = self._compiled({"images": images, "sizes": sizes})
        return dict(zip(self._names, outputs.values(), strict=True))


def _providers(device: str, available: list[str]) -> list[Any]:
    kind, _, index = device.partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    if kind == "cuda" and "CUDAExecutionProvider" in available:
        return [("CUDAExecutionProvider", {"device_id": int(index or 0)}), "CPUExecutionProvider"]
    raise ConfigError(
        f"device {device}: this onnxruntime offers {', '.join(available)}; use cpu, or install onnxruntime-gpu for cuda"
    )


def _first_line(error: Exception) -> str:
    return (str(error).strip().split("\n")[0] or type(error).__name__)[-200:]
