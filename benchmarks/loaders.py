"""Data paths that are compared: each decodes, transforms and collates pictures of a COCO folder in three steps.

All do the same to a picture: decode, scale by 0.7 to 1.4 of its size in the network, cut or padded to that size, mirror
with a chance of one half, vary brightness, contrast and saturation by a fifth, and stack in a batch of bytes.
"""

import os
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from PIL import Image
from torchvision import tv_tensors
from torchvision.transforms import v2

from dsla.data import Augment, Batch, DetectionData, Resize
from dsla.data.augment import FILL

SCALE, COLOUR = (0.7, 1.4), 0.2


class Loader(Protocol):
    """One data path in steps that can be timed one by one."""

    label: str

    def decode(self, index: int) -> Any: ...

    def transform(self, decoded: Any, index: int) -> Any: ...

    def collate(self, samples: Sequence[Any]) -> Any: ...


class Ours:
    """The package's own."""

    label = "dsla"

    def __init__(self, data: DetectionData, imgsz: int) -> None:
        self.data, self.resize = data, Resize(imgsz)
        self.augment = Augment(scale=SCALE, brightness=COLOUR, contrast=COLOUR, saturation=COLOUR)

    def decode(self, index: int) -> Any:
        return self.data.sample(index)

    def transform(self, decoded: Any, index: int) -> Any:
        return self.augment(decoded, self.resize, np.random.default_rng((0, 0, index)))

    def collate(self, samples: Sequence[Any]) -> Any:
        return Batch.collate(samples)


class Torchvision:
    """The transforms of torchvision's reference training (v2), on tensors or on Pillow's images.

    Pictures are opened as torchvision's `CocoDetection` does, and collated by padding as its detectors do.
    """

    def __init__(self, data: DetectionData, imgsz: int, tensors: bool) -> None:
        self.data, self.resize, self.tensors = data, Resize(imgsz), tensors
        self.label = f"torchvision v2, {'tensors' if tensors else 'Pillow'}"

    def decode(self, index: int) -> Any:
        record = self.data.record(index)
        image: Any = Image.open(record.name).convert("RGB")
        if self.tensors:
            image = v2.functional.pil_to_tensor(image)
            image = tv_tensors.Image(image)
        boxes = tv_tensors.BoundingBoxes(record.boxes, format="XYXY", canvas_size=record.size)  # pyright: ignore
        return image, {"boxes": boxes, "labels": record.labels}

    def transform(self, decoded: Any, index: int) -> Any:
        return _reference(self.resize.target(self.data.record(index).size))(*decoded)

    def collate(self, samples: Sequence[Any]) -> Any:
        height, width = (-(-max(image.shape[axis] for image, _ in samples) // 32) * 32 for axis in (1, 2))
        images = torch.zeros(len(samples), 3, height, width, dtype=torch.uint8)
        for room, (image, _) in zip(images, samples, strict=True):
            room[:, : image.shape[1], : image.shape[2]].copy_(image)
        return images, [target for _, target in samples]


@lru_cache
def _reference(size: tuple[int, int]) -> v2.Compose:
    """The reference's large-scale jitter and its photometric jitter, for one size of the network."""
    return v2.Compose(
        [
            v2.ScaleJitter(size, scale_range=SCALE, antialias=True),
            v2.RandomCrop(size, pad_if_needed=True, fill=FILL),
            v2.RandomHorizontalFlip(0.5),
            v2.ColorJitter(COLOUR, COLOUR, COLOUR),
            v2.PILToTensor(),
            v2.SanitizeBoundingBoxes(),
        ]
    )


class Ultralytics:
    """The training data set of Ultralytics by its public functions, with mosaic off and no change of hue.

    It pads every picture to a square, and scales before it warps; that is its own way to the same end.
    """

    label = "Ultralytics"

    def __init__(self, data: DetectionData, imgsz: int) -> None:
        folder = Path(tempfile.mkdtemp())
        os.environ.setdefault("YOLO_CONFIG_DIR", str(folder))
        os.environ.setdefault("YOLO_VERBOSE", "false")
        from ultralytics.cfg import get_cfg  # pyright: ignore[reportMissingImports]
        from ultralytics.data import build_yolo_dataset  # pyright: ignore[reportMissingImports]

        write_yolo(data, folder)
        settings = {
            "imgsz": imgsz, "mosaic": 0.0, "scale": 0.4, "translate": 0.1, "fliplr": 0.5, "hsv_h": 0.0,
            "hsv_s": COLOUR, "hsv_v": COLOUR, "task": "detect", "mixup": 0.0,
        }  # fmt: skip
        names = dict(enumerate(data.class_names))
        self.set = build_yolo_dataset(
            get_cfg(overrides=settings), str(folder / "images"), 8, {"names": names, "nc": len(names), "channels": 3}
        )
        self.place = {Path(name).stem: place for place, name in enumerate(self.set.im_files)}

    def decode(self, index: int) -> Any:
        return self.set.get_image_and_label(self.place[f"{index:06d}"])

    def transform(self, decoded: Any, index: int) -> Any:
        return self.set.transforms(decoded)

    def collate(self, samples: Sequence[Any]) -> Any:
        return self.set.collate_fn(list(samples))


def write_yolo(data: DetectionData, folder: Path) -> None:
    """The same pictures and boxes where Ultralytics looks for them."""
    for name in ("images", "labels"):
        (folder / name).mkdir()
    for index in range(len(data)):
        record = data.record(index)
        height, width = record.size
        source = Path(record.name).resolve()
        (folder / "images" / f"{index:06d}{source.suffix}").symlink_to(source)
        lines = [
            f"{label} {(x1 + x2) / 2 / width:.6f} {(y1 + y2) / 2 / height:.6f} {(x2 - x1) / width:.6f} "
            f"{(y2 - y1) / height:.6f}"
            for (x1, y1, x2, y2), label in zip(record.boxes.tolist(), record.labels.tolist(), strict=True)
        ]
        (folder / "labels" / f"{index:06d}.txt").write_text("\n".join(lines))


def available() -> dict[str, str | None]:
    """Names of the data paths, each with the reason why it is missing here, if it is."""
    try:
        import ultralytics  # noqa: F401  # pyright: ignore  # whether it is there is the question
    except ImportError as error:
        missing = f"not installed ({error})"
    else:
        missing = None
    return {"ours": None, "torchvision": None, "torchvision-pillow": None, "ultralytics": missing}


def build(name: str, data: DetectionData, imgsz: int) -> Loader:
    """Make a data path by name."""
    if name == "ours":
        return Ours(data, imgsz)
    if name == "ultralytics":
        return Ultralytics(data, imgsz)
    return Torchvision(data, imgsz, tensors=name == "torchvision")
