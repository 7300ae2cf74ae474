"""Detectors as people run them on a CPU: an encoded picture goes in, boxes in its own pixels come out.

Each is built from what lies on the disk, and does everything: decode, resize, normalise, network, choice of boxes,
mapping back. Networks of other projects get random weights, which take as long as trained ones; since random scores
pass no threshold, what suppression would cost them is left out, in their favour.
"""

import io
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from contenders import Setting, twin
from PIL import Image
from torchvision.models.detection import fcos_resnet50_fpn
from torchvision.transforms.v2 import functional as F
from turn import Runner

import dsla

THRESHOLD = 0.3
EXAMPLE = Path(__file__).parents[1] / "examples" / "onnx_numpy.py"
KEPT = 2**29  # bytes
SMALLEST = "yolo26n.yaml"  # of Ultralytics, which needs no suppression


@dataclass(frozen=True)
class Place:
    """Where everything lies that the contenders are built from."""

    folder: Path
    """With `model.safetensors` and what was exported from it."""
    imgsz: int
    threads: int
    ultralytics: Path | None
    """Where that package was installed to; never among our own."""


@dataclass(frozen=True)
class Entry:
    """A contender: what it is, its file in the folder, how it is built, and what is set in its environment."""

    label: str
    file: str | None
    build: Callable[[Place], Runner]
    environment: Mapping[str, str] = field(default_factory=dict[str, str])

    def size(self, place: Place) -> int | None:
        """Bytes of its file or folder."""
        path = place.folder / self.file if self.file else None
        if path is None or not path.exists():
            return None
        return sum(file.stat().st_size for file in ([path] if path.is_file() else path.iterdir()))


def ours(file: str, place: Place, threshold: float = THRESHOLD) -> Runner:
    """Our model file or an export of it, through `dsla.load`."""
    predictor = dsla.load(place.folder / file, trust=True)
    return lambda data: predictor.predict(data, threshold)


def ours_at_once(file: str, count: int, place: Place, pictures: list[bytes]) -> Runner:
    """The same with several pictures at a time, whichever one is asked for."""
    predictor = dsla.load(place.folder / file)
    several = (pictures * count)[:count]
    return lambda _: predictor.predict(several, THRESHOLD, batch=count)


def without_torch(file: str, place: Place) -> Runner:
    """An export through `examples/onnx_numpy.py`."""
    sys.path.insert(0, str(EXAMPLE.parent))
    import onnx_numpy
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = place.threads
    session = onnxruntime.InferenceSession(str(place.folder / file), options)
    return lambda data: onnx_numpy.find(session, Image.open(io.BytesIO(data)).convert("RGB"))


def torchvision_resnet50(place: Place) -> Runner:
    """`fcos_resnet50_fpn` at our size."""
    network = fcos_resnet50_fpn(
        weights=None, weights_backbone=None, num_classes=80, min_size=place.imgsz, max_size=place.imgsz
    ).eval()
    return _torchvision(network, None)


def torchvision_twin(place: Place) -> Runner:
    """torchvision's FCOS with our backbone, neck and a head like ours; its resizing is off, so ours is done before."""
    learner = twin(Setting(place.imgsz, 80, torch.device("cpu")), torch.channels_last)
    return _torchvision(learner.network.eval(), place.imgsz)


def _torchvision(network: Any, imgsz: int | None) -> Runner:
    def run(data: bytes) -> object:
        image = F.pil_to_tensor(Image.open(io.BytesIO(data)).convert("RGB"))
        if imgsz is not None:
            factor = imgsz / max(image.shape[1:])
            image = F.resize(image, [round(side * factor) for side in image.shape[1:]], antialias=True)
        with torch.inference_mode():
            return network([image / 255])

    return run


def begin_ultralytics(packages: Path, settings: Path) -> None:
    """Let that package be imported, and keep it from installing, asking or writing anything anywhere else."""
    os.environ |= {"YOLO_AUTOINSTALL": "false", "YOLO_OFFLINE": "true", "YOLO_CONFIG_DIR": str(settings)}
    sys.path.append(str(packages))


def ultralytics(place: Place, weights: Path | None = None, threshold: float = THRESHOLD) -> Runner:
    """Ultralytics' smallest model, exported to ONNX, through its own predictor; with random weights if not trained."""
    assert place.ultralytics is not None
    begin_ultralytics(place.ultralytics, place.folder)
    from ultralytics import YOLO  # pyright: ignore[reportMissingImports]

    exported = place.folder / "ultralytics.onnx"
    if not exported.exists():
        made = YOLO(str(weights or SMALLEST)).export(format="onnx", imgsz=place.imgsz, dynamic=True, simplify=False)
        Path(made).replace(exported)
    model = YOLO(str(exported), task="detect")

    def run(data: bytes) -> object:
        pixels = np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))[:, :, ::-1]
        return model.predict(np.ascontiguousarray(pixels), imgsz=place.imgsz, conf=threshold, verbose=False)

    return run


ENTRIES: dict[str, Entry] = {
    "eager": Entry("dsla in PyTorch", "model.safetensors", partial(ours, "model.safetensors")),
    "eager-kept": Entry(
        "the same where glibc keeps the memory of activations",
        "model.safetensors",
        partial(ours, "model.safetensors"),
        {"MALLOC_TRIM_THRESHOLD_": str(KEPT), "MALLOC_MMAP_THRESHOLD_": str(KEPT)},
    ),
    "pt2": Entry("dsla as a torch.export program", "model.pt2", partial(ours, "model.pt2")),
    "onnx": Entry("dsla in onnxruntime, suppression in the graph", "model.onnx", partial(ours, "model.onnx")),
    "onnx-outside": Entry("dsla in onnxruntime, suppression in NumPy", "raw.onnx", partial(ours, "raw.onnx")),
    "onnx-example": Entry(
        "the same file through the example without torch", "model.onnx", partial(without_torch, "model.onnx")
    ),
    "onnx-int8": Entry("dsla in onnxruntime, 8 bits", "model-int8.onnx", partial(ours, "model-int8.onnx")),
    "openvino": Entry("dsla in OpenVINO", "model_openvino", partial(ours, "model_openvino")),
    "openvino-int8": Entry("dsla in OpenVINO, 8 bits", "model-int8_openvino", partial(ours, "model-int8_openvino")),
    "twin": Entry("torchvision FCOS, our backbone, neck and head, PyTorch", None, torchvision_twin),
    "resnet50": Entry("torchvision fcos_resnet50_fpn, PyTorch", None, torchvision_resnet50),
    "ultralytics": Entry("Ultralytics YOLO26n in onnxruntime, random weights", "ultralytics.onnx", ultralytics),
}
