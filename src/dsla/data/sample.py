"""One picture with its boxes, and a batch of them: what travels from a data set to the detector.

Letters: G boxes of a picture, B pictures, H and W height and width in pixels.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Float32, Int64, UInt8
from torch import Tensor
from torchvision.ops import clip_boxes_to_image

from dsla.data.shared_memory import zeros_to_send
from dsla.geometry.truth import GroundTruth

DIVISOR = 32  # the greatest stride of the usual backbones


@dataclass(frozen=True, eq=False)
class Sample:
    """A decoded picture and its boxes, as read or as transformed.

    Attributes:
        image: (3, H, W) uint8 RGB.
        boxes: (G, 4) xyxy in pixels of `image`.
        labels: (G,) class indices.
        ignore: (G,) True for crowds and ignore regions.
        image_id: the source's own id.
        name: what to call the picture in messages.
        original_size: (h, w) of the picture before any transform, after EXIF orientation.
        scale: (sy, sx) from the picture's own pixels to those of `image`. Crops, flips and places on a
            canvas are not recorded: only samples that were merely resized can be mapped back.
    """

    image: UInt8[Tensor, "3 H W"]
    boxes: Float32[Tensor, "G 4"]
    labels: Int64[Tensor, " G"]
    ignore: Bool[Tensor, " G"]
    image_id: int
    name: str
    original_size: tuple[int, int]
    scale: tuple[float, float] = (1.0, 1.0)

    @property
    def size(self) -> tuple[int, int]:
        """(h, w) of `image`."""
        return self.image.shape[1], self.image.shape[2]

    @staticmethod
    def unlabelled(image: UInt8[Tensor, "3 H W"], image_id: int = 0, name: str = "") -> "Sample":
        """A picture of which no truth is known."""
        return Sample(
            image=image,
            boxes=torch.zeros(0, 4),
            labels=torch.zeros(0, dtype=torch.int64),
            ignore=torch.zeros(0, dtype=torch.bool),
            image_id=image_id,
            name=name,
            original_size=(image.shape[1], image.shape[2]),
        )


@dataclass(frozen=True, eq=False)
class Batch:
    """Pictures of different sizes, padded to one.

    Attributes:
        images: (B, 3, H, W) uint8, padded at the bottom and the right with 0.
        sizes: (B, 2) true (h, w) of each picture before padding.
        truth: all boxes, in pixels of `images`.
        image_ids, names: as in the samples.
        original_sizes: (h, w) of each picture before any transform.
        scales: (B, 2) (sy, sx) from the picture's own pixels to the network's.
    """

    images: UInt8[Tensor, "B 3 H W"]
    sizes: Int64[Tensor, "B 2"]
    truth: GroundTruth
    image_ids: tuple[int, ...]
    names: tuple[str, ...]
    original_sizes: tuple[tuple[int, int], ...]
    scales: Float32[Tensor, "B 2"]

    @staticmethod
    def collate(samples: Sequence[Sample], divisor: int = DIVISOR) -> "Batch":
        """Pad to the greatest height and width, rounded up to a multiple of `divisor`."""
        if not samples:
            raise ValueError("a batch needs at least one sample")
        height, width = (-(-max(sample.size[axis] for sample in samples) // divisor) * divisor for axis in (0, 1))
        images = zeros_to_send(len(samples), 3, height, width)
        for image, sample in zip(images, samples, strict=True):
            image[:, : sample.size[0], : sample.size[1]] = sample.image
        return Batch(
            images=images,
            sizes=torch.tensor([sample.size for sample in samples]),
            truth=GroundTruth.collate([(sample.boxes, sample.labels, sample.ignore) for sample in samples]),
            image_ids=tuple(sample.image_id for sample in samples),
            names=tuple(sample.name for sample in samples),
            original_sizes=tuple(sample.original_size for sample in samples),
            scales=torch.tensor([sample.scale for sample in samples], dtype=torch.float32),
        )

    def __len__(self) -> int:
        return len(self.names)

    def to(self, device: torch.device | str) -> "Batch":
        """Move all tensors to a device."""
        return dataclasses.replace(
            self,
            images=self.images.to(device, non_blocking=True),
            sizes=self.sizes.to(device, non_blocking=True),
            truth=self.truth.to(device),
            scales=self.scales.to(device, non_blocking=True),
        )

    def pin_memory(self) -> "Batch":
        """Pin the pictures, which are nearly all of a batch; DataLoader calls this by its name."""
        return dataclasses.replace(self, images=self.images.pin_memory())

    def padded(self, height: int, width: int) -> "Batch":
        """The same pictures on a canvas of at least this size, in pixels."""
        right, bottom = max(width - self.images.shape[3], 0), max(height - self.images.shape[2], 0)
        if not right and not bottom:
            return self
        return dataclasses.replace(self, images=F.pad(self.images, (0, right, 0, bottom)))

    def boxes_to_picture(self, index: int, boxes: Float[Tensor, "N 4"]) -> Float[Tensor, "N 4"]:
        """Map boxes of picture `index` from the network's pixels to the picture's own, clipped to it."""
        sy, sx = self.scales[index].tolist()
        return clip_boxes_to_image(boxes / boxes.new_tensor([sx, sy, sx, sy]), self.original_sizes[index])
