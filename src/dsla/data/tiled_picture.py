"""A whole picture that reaches the network as tiles, made batch by batch: memory does not grow with their number."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from dsla.data.resize import Resize, Window
from dsla.data.sample import Batch, Sample
from dsla.data.tiling import Tiling


@dataclass(frozen=True, eq=False)
class TiledPicture:
    """A picture larger than a tile, decoded, and how it is cut.

    Attributes:
        sample: the picture.
        tiling: how it is cut.
        resize: how tiles, and the whole, reach the network.
    """

    sample: Sample
    tiling: Tiling
    resize: Resize

    def __len__(self) -> int:
        return 1

    def batches(self, most: int) -> Iterator[tuple[Batch, tuple[Window, ...]]]:
        """Tiles without truth, at most so many at a time, and their places; last, if it is wanted, the whole.

        The tiles have one size. The whole may have another, so it goes alone: padding would change what is found.
        """
        windows = self.tiling.windows(self.sample.size)
        parts = [windows[start : start + most] for start in range(0, len(windows), most)]
        if self.tiling.whole:
            parts.append((Window(0, 0, *self.sample.size),))
        for part in parts:
            yield Batch.collate([self._view(window) for window in part]), part

    def to(self, device: torch.device | str) -> "TiledPicture":
        """Itself: only tiles go to a device, a batch at a time."""
        return self

    def pin_memory(self) -> "TiledPicture":
        """Itself, for the same reason; DataLoader calls this by its name."""
        return self

    def _view(self, window: Window) -> Sample:
        top, left, height, width = window
        image = self.sample.image[:, top : top + height, left : left + width]
        return self.resize(Sample.unlabelled(image, self.sample.image_id, self.sample.name))
