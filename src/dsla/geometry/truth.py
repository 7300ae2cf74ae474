"""Ground truth of a batch as flat tensors: images without boxes cost nothing and need no special case.

Letters: G boxes over the whole batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor


@dataclass(frozen=True, eq=False)
class GroundTruth:
    """All boxes of a batch.

    Attributes:
        boxes: (G, 4) xyxy in pixels of the network's input.
        labels: (G,) class indices; background is no class.
        image: (G,) index of each box's image in the batch, ascending.
        ignore: (G,) True for crowds, difficult objects and ignore regions: neither object nor background.
        num_images: images in the batch, those without boxes included.
    """

    boxes: Float[Tensor, "G 4"]
    labels: Int[Tensor, " G"]
    image: Int[Tensor, " G"]
    ignore: Bool[Tensor, " G"]
    num_images: int

    @staticmethod
    def collate(
        images: Sequence[tuple[Float[Tensor, "_ 4"], Int[Tensor, " _"], Bool[Tensor, " _"]]],
    ) -> "GroundTruth":
        """Join (boxes, labels, ignore) of each image into one flat batch."""
        if not images:
            raise ValueError("a batch needs at least one image")
        counts = torch.tensor([len(boxes) for boxes, _, _ in images])
        return GroundTruth(
            boxes=torch.cat([boxes for boxes, _, _ in images]),
            labels=torch.cat([labels for _, labels, _ in images]),
            image=torch.repeat_interleave(torch.arange(len(images)), counts),
            ignore=torch.cat([ignore for _, _, ignore in images]),
            num_images=len(images),
        )

    def to(self, device: torch.device | str) -> "GroundTruth":
        """Move all tensors to a device."""
        return GroundTruth(
            self.boxes.to(device, non_blocking=True),
            self.labels.to(device, non_blocking=True),
            self.image.to(device, non_blocking=True),
            self.ignore.to(device, non_blocking=True),
            self.num_images,
        )

    def __len__(self) -> int:
        return self.boxes.shape[0]
