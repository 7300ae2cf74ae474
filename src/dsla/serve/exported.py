"""An exported model as the server's finder, in NumPy and Pillow: a server of ONNX or OpenVINO needs no torch.

Pictures are resized as `dsla.data.resize` does it: Pillow's antialiased bilinear filter is the one that torchvision's
was made after. Letters: H and W height and width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from dsla.engine.detections import Detections
from dsla.errors import ConfigError, ModelError
from dsla.runtime.artefact import Artefact
from dsla.runtime.decode import Choice, Found, choose, found_in_graph
from dsla.runtime.session import XML, OnnxSession, OpenVinoSession, Session

DIVISOR = 32
"""Sides of what the network sees are padded to a multiple of this."""


def resized_to(size: tuple[int, int], long: int, short: int | None) -> tuple[int, int]:
    """The (h, w) that a picture of `size` is brought to: the rule of `dsla.data.resize.Resize`."""
    factor = long / max(size)
    if short is not None:
        factor = min(factor, short / min(size))
    return max(1, round(size[0] * factor)), max(1, round(size[1] * factor))


def padded_to(size: tuple[int, int]) -> tuple[int, int]:
    """A size (h, w) with its padding."""
    return -(-size[0] // DIVISOR) * DIVISOR, -(-size[1] // DIVISOR) * DIVISOR


@dataclass(frozen=True, eq=False)
class ExportedFinder:
    """Finds things with an exported model; pictures of one padded size go through it together."""

    session: Session
    backend: str

    @property
    def artefact(self) -> Artefact:
        """What the model says of itself."""
        return self.session.artefact

    @property
    def class_names(self) -> tuple[str, ...]:
        """Name of each class."""
        return self.artefact.class_names

    @property
    def sides(self) -> tuple[int, int | None]:
        """The longest and, where it counts, the shortest side of what the network sees."""
        data = self.artefact.config["data"]
        return data["imgsz"], data["shorter"]

    def predict(
        self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], score_threshold: float = 0.3, *, batch: int = 8
    ) -> list[Detections]:
        """What is in each of the RGB pictures, in their order; `batch` at a time."""
        sizes = [resized_to((image.shape[0], image.shape[1]), *self.sides) for image in images]
        padded = [padded_to(size) for size in sizes]
        found: dict[int, Detections] = {}
        for shape in dict.fromkeys(padded):
            alike = [index for index, its in enumerate(padded) if its == shape]
            for start in range(0, len(alike), batch):
                rows = alike[start : start + batch]
                results = self._run([images[row] for row in rows], [sizes[row] for row in rows], score_threshold)
                found |= dict(zip(rows, results, strict=True))
        return [found[index] for index in range(len(images))]

    def _run(
        self, images: Sequence[UInt8[np.ndarray, "_ _ 3"]], sizes: Sequence[tuple[int, int]], threshold: float
    ) -> list[Detections]:
        shape = padded_to(sizes[0])
        inputs = np.zeros((len(images), 3, *shape), dtype=np.uint8)
        for row, (image, (height, width)) in enumerate(zip(images, sizes, strict=True)):
            picture = Image.fromarray(image)
            if picture.size != (width, height):
                picture = picture.resize((width, height), Image.Resampling.BILINEAR)
            inputs[row, :, :height, :width] = np.asarray(picture).transpose(2, 0, 1)
        outputs = self.session.run(inputs, np.array(sizes, dtype=np.int64))
        if self.artefact.decode == "graph":
            found = found_in_graph(outputs, threshold)
        else:
            choice = Choice.of(self.artefact.config["inference"], threshold)
            found = choose(outputs, shape, self.artefact.strides, choice)
        return [self._in_picture(*each) for each in zip(found, images, sizes, strict=True)]

    def _in_picture(self, found: Found, image: UInt8[np.ndarray, "H W 3"], size: tuple[int, int]) -> Detections:
        """Boxes in the picture's own pixels, within it."""
        height, width = image.shape[:2]
        scale = np.array([width / size[1], height / size[0]] * 2, dtype=np.float32)
        boxes = (found.boxes * scale).clip(0, np.array([width, height] * 2, dtype=np.float32)).astype(np.float32)
        return Detections(boxes, found.scores, found.labels, self.class_names, (height, width))


def open_exported(path: Path, device: str, threads: int | None = None) -> ExportedFinder | None:
    """A finder for an .onnx file or a folder (or .xml) of OpenVINO's; None for what is neither.

    `threads` are those of an operator; None: as many as this process may use.

    Raises:
        ModelError: if it cannot be opened, its run-time is not installed, or it finds things by tiles.
        ConfigError: if the run-time cannot use the device.
    """
    device = "cpu" if device == "auto" else device
    if path.suffix == ".onnx":
        return _whole_pictures(ExportedFinder(OnnxSession(path, device, threads), "onnxruntime"))
    if path.suffix == ".xml" or (path / XML).is_file():
        if device != "cpu":
            raise ConfigError(f"device {device}: an OpenVINO model computes on the cpu here")
        return _whole_pictures(ExportedFinder(OpenVinoSession(path, threads), "openvino"))
    return None


def _whole_pictures(finder: ExportedFinder) -> ExportedFinder:
    """The finder, if its model looks at whole pictures: tiles are cut by the predictor in torch alone."""
    tile = finder.artefact.config["data"].get("tile")
    if tile is not None:
        raise ModelError(
            f"{finder.artefact.path}: finds things by tiles of {tile} px, which are cut by torch alone; serve the "
            "model file that it was exported from"
        )
    return finder
